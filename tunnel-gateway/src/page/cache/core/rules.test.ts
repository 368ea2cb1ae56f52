import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { codingFor, compressedHeaders, isCompressible, unmarkTags } from './compressible.ts'
import { matchesWeakly, select } from './conditions.ts'
import { headerOf, parseDirectives } from './directives.ts'
import { isGoodOnError, judge } from './freshness.ts'
import { hasHashInName } from './hashed-name.ts'
import { kindOf, mayShare } from './sharing.ts'
import { isShareable, planStoring } from './storing.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const DATE = (offsetSec: number) => new Date(NOW + offsetSec * 1_000).toUTCString()
const ASKED = { path: '/x', cacheControl: '', isAuthorised: false, hasCookie: false }

function plan(cacheControl: string, headers: string[] = [], asked = {}, status = 200) {
  return planStoring({ ...ASKED, ...asked }, { status, headers, cacheControl, setsCookies: false }, NOW)
}

suite('storing (RFC 9111 section 3)', () => {
  test('lifetimes: s-maxage, max-age, Expires by the device’s own clock, none', () => {
    const table: [string, string[], number | null][] = [
      ['max-age=60', [], 60_000],
      ['max-age=60, s-maxage=120', [], 120_000],
      ['max-age="60"', [], 60_000],
      ['MAX-AGE=60', [], 60_000],
      ['max-age=-1', [], null],
      ['max-age=1.5', [], null],
      ['max-age=99999999999', [], 2 ** 31 * 1_000],
      ['max-age=60', ['Expires', DATE(9)], 60_000],
      ['', ['Expires', DATE(30)], 30_000],
      ['', ['Expires', DATE(30), 'Date', DATE(-30)], 60_000],
      ['', ['Expires', DATE(-30), 'Date', DATE(-40)], 10_000],
      ['', ['Expires', '0', 'ETag', '"1"'], 0],
      ['', [], null],
      ['', ['ETag', '"1"'], 0],
      ['', ['Last-Modified', DATE(-9)], 0],
      ['no-cache, max-age=60', ['ETag', '"1"'], 0],
      ['no-cache="set-cookie", max-age=60', ['ETag', '"1"'], 0],
      ['no-cache, max-age=60', [], null],
    ]
    for (const [cacheControl, headers, expected] of table)
      assert.equal(
        plan(cacheControl, headers)?.freshMs ?? null,
        expected,
        `${cacheControl} ${headers.join()}`,
      )
  })

  test('is forbidden by no-store of either side, cookies, Vary: *, a part, a place, an odd status', () => {
    assert.equal(plan('no-store, max-age=60'), null)
    assert.equal(plan('max-age=60', [], { cacheControl: 'no-store' }), null)
    for (const headers of [
      ['Vary', '*'],
      ['Vary', 'a, *'],
      ['Vary', 'a,b,c,d,e,f,g,h,i'],
      ['Content-Range', 'bytes 0-1/2'],
      ['Location', '/'],
      ['Refresh', '1'],
      ['Content-Type', 'text/event-stream'],
    ])
      assert.equal(plan('max-age=60', headers), null, headers.join())
    for (const status of [201, 206, 302, 304, 500]) assert.equal(plan('max-age=60', [], {}, status), null)
    assert.ok(plan('max-age=60', [], {}, 404))
    assert.equal(plan('', ['ETag', '"1"'], {}, 404), null)
    const answered = { status: 200, headers: [], cacheControl: 'max-age=60', setsCookies: true }
    assert.equal(planStoring(ASKED, answered, NOW), null)
    assert.equal(isShareable(answered), false)
  })

  test('O15: what had credentials or is private is one person’s own, unless the device says that it is not', () => {
    const isPersonal = (cacheControl: string, asked = {}) => plan(cacheControl, [], asked)!.isPersonal
    assert.equal(isPersonal('max-age=60'), false)
    assert.equal(isPersonal('private, max-age=60'), true)
    assert.equal(isPersonal('max-age=60', { hasCookie: true }), true)
    assert.equal(isPersonal('max-age=60', { isAuthorised: true }), true)
    assert.equal(isPersonal('public, max-age=60', { isAuthorised: true }), false)
    assert.equal(isPersonal('private, public, max-age=60'), true)
    assert.deepEqual(plan('max-age=60', ['Vary', 'Accept'], { hasCookie: true })!.vary, ['accept', 'cookie'])
  })

  test('never keeps what nothing makes good: without a lifetime there is a validator', () => {
    const words = [
      'max-age=0',
      'max-age=9',
      'no-cache',
      'no-store',
      'public',
      'private',
      'must-revalidate',
      'x="a,b"',
    ]
    const headers = fc.subarray([
      ['ETag', '"1"'],
      ['Last-Modified', DATE(-1)],
      ['Expires', DATE(5)],
      ['Vary', 'accept'],
    ])
    fc.assert(
      fc.property(fc.subarray(words), headers, fc.boolean(), (said, pairs, hasCookie) => {
        const kept = plan(said.join(', '), pairs.flat(), { hasCookie })
        if (said.includes('no-store')) assert.equal(kept, null)
        if (kept === null) return
        const hasValidator = pairs.some(([name]) => name === 'ETag' || name === 'Last-Modified')
        assert.ok(kept.freshMs > 0 || hasValidator)
        if (said.includes('private') || (hasCookie && !said.includes('public'))) assert.ok(kept.isPersonal)
        if (said.includes('no-cache')) assert.equal(kept.freshMs, 0)
      }),
    )
  })

  test('names with a hash are those that build tools give', () => {
    for (const path of [
      '/app.3f9a1c.js',
      '/assets/index-DkW8s_4a.css',
      '/main.js?v=3f9a1c2b',
      '/main.css?3f9a1c2b',
      '/a.min.3f9a1c2b.js',
    ])
      assert.ok(hasHashInName(path), path)
    for (const path of [
      '/app.js',
      '/jquery-3.6.0.js',
      '/style.css?v=1.2.3',
      '/20240101.png',
      '/a.js?t=3f9a1c2b',
      '/status?v=3f9a1c2b',
      '/logo.feedface.html',
      '/photo-IMAGES.png',
    ])
      assert.ok(!hasHashInName(path), path)
    assert.equal(plan('', [], { path: '/app.3f9a1c.js' })?.isImmutable, true)
    assert.equal(plan('no-cache', ['ETag', '"1"'], { path: '/app.3f9a1c.js' })?.isImmutable, false)
  })
})

suite('freshness (RFC 9111 section 4.2)', () => {
  const aged = {
    storedAt: NOW - 50_000,
    ageMs: 5_000,
    freshMs: 60_000,
    staleWhileAskingMs: 0,
    staleIfErrorMs: 0,
    isImmutable: false,
    epoch: 7,
  }
  test('counts the age at arrival, and hears what the request wants', () => {
    assert.equal(judge(aged, '', 7, NOW), 'fresh')
    assert.equal(judge(aged, '', null, NOW), 'fresh')
    assert.equal(judge(aged, '', 7, NOW + 5_001), 'ask')
    assert.equal(judge(aged, 'max-age=50', 7, NOW), 'ask')
    assert.equal(judge(aged, 'max-age=0', 7, NOW), 'ask')
    assert.equal(judge(aged, 'min-fresh=10', 7, NOW), 'ask')
    assert.equal(judge(aged, 'no-cache', 7, NOW), 'ask')
    assert.equal(judge(aged, '', 8, NOW), 'ask')
    const immutable = { ...aged, isImmutable: true }
    assert.equal(judge(immutable, 'max-age=0', 8, NOW), 'fresh')
    assert.equal(judge(immutable, 'no-cache', 8, NOW), 'ask')
  })
  test('stale-while-revalidate and stale-if-error count from the end of freshness (RFC 5861)', () => {
    const lenient = { ...aged, staleWhileAskingMs: 10_000, staleIfErrorMs: 20_000 }
    assert.equal(judge(lenient, '', 7, NOW + 6_000), 'stale_while_asking')
    assert.equal(judge(lenient, '', 7, NOW + 16_000), 'ask')
    assert.ok(isGoodOnError(lenient, NOW + 24_000))
    assert.ok(!isGoodOnError(lenient, NOW + 26_000))
    assert.ok(!isGoodOnError(aged, NOW))
    assert.equal(plan('max-age=1, must-revalidate, stale-if-error=9')!.staleIfErrorMs, 0)
  })
  test('a clock that went back makes nothing older or younger than it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), (offset) => {
        const verdict = judge(aged, '', 7, NOW + offset)
        assert.equal(verdict, offset < 5_000 ? 'fresh' : 'ask')
      }),
    )
  })
})

suite('conditions and ranges (RFC 9110 sections 13 and 14)', () => {
  const kept = { status: 200, headers: ['ETag', '"1"', 'Last-Modified', DATE(-60)], length: 10 }
  const kind = (...request: string[]) => select('GET', request, kept).kind
  test('If-None-Match compares weakly and goes before the date', () => {
    assert.equal(kind('If-None-Match', '"1"'), 'not_modified')
    assert.equal(kind('If-None-Match', 'W/"0", W/"1"'), 'not_modified')
    assert.equal(kind('If-None-Match', '*'), 'not_modified')
    assert.equal(kind('If-None-Match', '"2"', 'If-Modified-Since', DATE(0)), 'whole')
    assert.equal(kind('If-Modified-Since', DATE(-60)), 'not_modified')
    assert.equal(kind('If-Modified-Since', DATE(-61)), 'whole')
    assert.equal(kind('If-Modified-Since', 'nonsense'), 'whole')
    assert.equal(matchesWeakly('"a,b", "c"', '"a,b"'), true)
    assert.equal(matchesWeakly('1', '"1"'), false)
  })
  test('one range is a part, several and odd ones are the whole', () => {
    assert.equal(kind('Range', 'bytes=0-0,2-3'), 'whole')
    assert.equal(kind('Range', 'lines=1-2'), 'whole')
    assert.equal(kind('Range', 'bytes=5-2'), 'whole')
    assert.equal(kind('Range', 'bytes=-'), 'whole')
    assert.equal(kind('Range', 'bytes=-0'), 'unsatisfiable')
    assert.equal(kind('Range', 'bytes=10-'), 'unsatisfiable')
    assert.equal(kind('Range', 'bytes=0-1', 'If-Range', 'W/"1"'), 'whole')
    assert.equal(kind('Range', 'bytes=0-1', 'If-Range', '"1"'), 'part')
    assert.equal(kind('Range', 'bytes=0-1', 'If-Range', DATE(-60)), 'part')
    assert.equal(select('HEAD', ['Range', 'bytes=0-1'], kept).kind, 'whole')
  })
  test('a part is never empty and never beyond the end', () => {
    const number = fc.option(fc.nat(30), { nil: '' as const })
    fc.assert(
      fc.property(number, number, fc.nat(20), (from, to, length) => {
        const selected = select('GET', ['Range', `bytes=${from}-${to}`], { ...kept, length })
        if (selected.kind !== 'part') return
        assert.ok(selected.start >= 0 && selected.start <= selected.end && selected.end < length)
      }),
    )
  })
})

suite('sharing and compressing', () => {
  test('a script’s question with a query may be a command; a part of the page is none', () => {
    assert.equal(mayShare(kindOf('empty'), '/cm?cmnd=TOGGLE', ''), false)
    assert.equal(mayShare(kindOf(null), '/?m=1', ''), false)
    assert.equal(mayShare(kindOf('empty'), '/status', ''), true)
    assert.equal(mayShare(kindOf('script'), '/app.js?v=1', ''), true)
    assert.equal(mayShare(kindOf('script'), '/app.js', 'no-store'), false)
  })
  test('the coding is the one that the browser weighs most, br where both are the same', () => {
    const table: [string, string | null][] = [
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0.5, gzip', 'gzip'],
      ['br;q=0, gzip;q=0', null],
      ['identity', null],
      ['*', 'br'],
      ['*;q=0', null],
      ['', null],
    ]
    for (const [accept, expected] of table) assert.equal(codingFor(accept), expected, accept)
  })
  test('events, parts, pictures, small and coded bodies, and problems stay as they are', () => {
    const type = (value: string, ...more: string[]) => isCompressible(200, ['Content-Type', value, ...more])
    assert.ok(type('text/html; charset=utf-8'))
    assert.ok(type('application/json'))
    assert.ok(type('image/svg+xml'))
    for (const value of [
      'text/event-stream',
      'image/png',
      'application/problem+json',
      'application/octet-stream',
    ])
      assert.ok(!type(value), value)
    assert.ok(!type('text/html', 'Content-Length', '1023'))
    assert.ok(!type('text/html', 'Content-Encoding', 'gzip'))
    assert.ok(!type('text/html', 'Cache-Control', 'no-transform'))
    for (const status of [204, 206, 304]) assert.ok(!isCompressible(status, ['Content-Type', 'text/html']))
  })
  test('a strong tag says that the bytes are ours, and the device gets its own back', () => {
    const headers = compressedHeaders(['ETag', '"1"', 'Content-Length', '9', 'Vary', 'Accept'], 'br')
    assert.deepEqual(headers, [
      'ETag',
      '"1-wmoc"',
      'Vary',
      'Accept, Accept-Encoding',
      'Content-Encoding',
      'br',
    ])
    assert.equal(headerOf(compressedHeaders(['ETag', 'W/"1"'], 'br'), 'etag'), 'W/"1"')
    const asked = ['If-None-Match', '"1-wmoc", "2"', 'X', '"3-wmoc"']
    assert.deepEqual(unmarkTags(asked), {
      headers: ['If-None-Match', '"1", "2"', 'X', '"3-wmoc"'],
      isMarked: true,
    })
    const part = ['Range', 'bytes=0-1', 'If-Range', '"1-wmoc"']
    assert.deepEqual(unmarkTags(part), { headers: [], isMarked: true })
    assert.equal(unmarkTags(['If-None-Match', '"1"']).isMarked, false)
  })
  test('directives are read from any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const seconds = parseDirectives(text).seconds('max-age')
        assert.ok(seconds === null || (Number.isInteger(seconds) && seconds >= 0))
      }),
    )
  })
})
