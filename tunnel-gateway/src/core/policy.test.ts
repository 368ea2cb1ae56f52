import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { PagePlace } from '#src/page/shim/addresses.ts'
import { isNavigation, isSameOrigin, mayRequest } from './access-rules.ts'
import { cookiesFor, deviceCookies, ownOriginSetCookies, readCookie, updateJar } from './cookie-rules.ts'
import { BAD_VALUE, blockOf, HEADER_NAME } from './header-names.ts'
import { isPrivateHost, rewriteReference, rewriteRefresh } from './location-rewrite.ts'
import { PAGE_COOKIE_TTL_MS, readPageCookie, writePageCookie } from './page-cookie.ts'
import { buildRequestHead } from './request-headers.ts'
import { isReserved, parseControllerTarget, parseOwnOriginTarget, samePagePath } from './request-path.ts'
import { buildResponseHead } from './response-head.ts'

const ID = '0192f3a4-5b6c-7d8e-9f00-112233445566'
const place: PagePlace = {
  hosts: ['192.168.1.50'],
  pageHost: 'a.devices.example',
  prefix: '',
  publicPrefix: '',
  port: null,
  ports: [],
}
const head = (rawHeaders: string[], changes = {}) =>
  buildRequestHead(rawHeaders, {
    method: 'GET',
    path: '/',
    clientAddress: '203.0.113.7',
    scheme: 'https',
    host: 'a.devices.example',
    prefix: '',
    port: null,
    cookie: '',
    authorization: null,
    mayAuthorise: false,
    bodyLength: null,
    maxBytes: 4_096,
    traceparent: '',
    subprotocols: '',
    ...changes,
  })

suite('request paths', () => {
  test('P7: only a lower-case id right after /c/ names a controller, and the rest stays raw', () => {
    assert.deepEqual(parseControllerTarget(`/c/${ID}/a/../b?c`), {
      capability: null,
      port: null,
      prefix: `/c/${ID}`,
      kind: 'device',
      controllerId: ID,
      path: '/a/../b?c',
    })
    assert.deepEqual(parseControllerTarget(`/c/${ID}`), { kind: 'redirect', location: `/c/${ID}/` })
    for (const target of [
      `/c/${ID.toUpperCase()}/`,
      `/c/${ID}x/`,
      `/c/x/../${ID}/`,
      `//c/${ID}/`,
      '/c/',
      '/',
    ]) {
      assert.equal(parseControllerTarget(target).kind, 'unknown', target)
    }
  })

  test('P7: capability and port of an address are read apart, and nothing else passes for them', () => {
    const cases: [string, string | null, number | null, string][] = [
      [`/c/${ID}~cap_-9/a?b`, 'cap_-9', null, '/a?b'],
      [`/c/${ID}~cap~81/`, 'cap', 81, '/'],
      [`/c/${ID}~cap~65535//a`, 'cap', 65_535, '//a'],
    ]
    for (const [target, capability, port, path] of cases) {
      const prefix = `/c/${ID}${capability === null ? '' : `~${capability}`}`
      const expected = { kind: 'device', controllerId: ID, capability, port, prefix, path }
      assert.deepEqual(parseControllerTarget(target), expected, target)
    }
    assert.deepEqual(parseControllerTarget(`/c/${ID}~cap~81?a`), {
      kind: 'redirect',
      location: `/c/${ID}~cap~81/?a`,
    })
    const malformed = [
      '~',
      '~/',
      '~~81',
      '~cap~',
      '~cap~0',
      '~cap~081',
      '~cap~65536',
      '~cap~81~',
      '~c.p',
      '~c%61p',
    ]
    for (const rest of [...malformed, `~${'a'.repeat(101)}`])
      assert.equal(parseControllerTarget(`/c/${ID}${rest}/`).kind, 'unknown', rest)
    assert.equal(parseControllerTarget(`/c/${ID}~cap/_wmoc/shim.js`).kind, 'reserved')
    assert.equal(parseControllerTarget(`/c/${ID}~cap~81/%5fwmoc/x`).kind, 'reserved')
  })

  test('P7: on an own origin only /_wmoc/port/{port}/ leads to another port', () => {
    const read = (target: string) => parseOwnOriginTarget(target)
    const device = { kind: 'device', capability: null, prefix: '' }
    assert.deepEqual(read('/_wmoc/port/81/a/../b?c'), { ...device, port: 81, path: '/a/../b?c' })
    assert.deepEqual(read('/a?/_wmoc/port/81/'), { ...device, port: null, path: '/a?/_wmoc/port/81/' })
    assert.deepEqual(read('/_wmoc/port/81?a'), { kind: 'redirect', location: '/_wmoc/port/81/?a' })
    for (const target of [
      '/_wmoc/port/0/',
      '/_wmoc/port/65536/',
      '/_wmoc/port/081/',
      '/_wmoc/port/',
      '/_wmoc/port/81x/',
      '/_wmoc/port/81/_wmoc/port/82/',
      '/_wmoc/port/81/%5Fwmoc/x',
      '//_wmoc/port/81/',
      '/x/_wmoc/port/81/',
    ])
      assert.equal(read(target).kind, 'reserved', target)
    const noise = fc.array(
      fc.constantFrom('/', '.', '..', '%2f', '%2e', '~', ';', '\\', '?', 'a', '81', '_wmoc', 'port'),
    )
    fc.assert(
      fc.property(noise, fc.integer({ min: 1, max: 65_535 }), (parts, port) => {
        const path = `/${parts.join('')}`
        const target = read(`/_wmoc/port/${port}${path}`)
        assert.ok(target.kind === 'reserved' || (target.kind === 'device' && target.port === port))
        if (target.kind === 'device') assert.equal(target.path, path)
      }),
    )
  })

  test('P7: whatever comes after the id, the device of that id gets exactly that', () => {
    const visible = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    })
    fc.assert(
      fc.property(visible, (rest) => {
        const target = parseControllerTarget(`/c/${ID}/${rest}`)
        if (target.kind === 'device') assert.deepEqual([target.controllerId, target.path], [ID, `/${rest}`])
        else
          assert.ok(
            rest.includes('#') ? target.kind === 'malformed' : target.kind === 'reserved',
            target.kind,
          )
      }),
    )
  })

  test('reserved paths are seen through encodings, slashes and case', () => {
    for (const path of [
      '/_wmoc',
      '/_wmoc/',
      '/%5Fwmoc/x',
      '/%255fWMOC/x',
      '/a//_wmoc',
      '/a\\_wmoc/b',
      '/_wmoc;x/',
    ])
      assert.ok(isReserved(path), path)
    for (const path of ['/', '/a_wmoc/', '/_wmocx/', '/a?x=/_wmoc/', '/%00'])
      assert.ok(!isReserved(path), path)
  })

  test('O13: where to go on can only be a path of this origin', () => {
    for (const path of ['//evil', '/\\evil', 'https://evil', '', 'a', '/a\nb', '/é'])
      assert.equal(samePagePath(path), '/')
    assert.equal(samePagePath('/a?b=//c'), '/a?b=//c')
  })
})

suite('the header diet', () => {
  test('P8, P9: what Connection names goes first, then ours is set', () => {
    const built = head([
      'Connection',
      'X-Forwarded-For, X-B',
      'X-B',
      '1',
      'X-Forwarded-For',
      '6.6.6.6',
      'X-Keep',
      '2',
    ])
    assert.ok(built.ok)
    assert.deepEqual(
      { ...blockOf(built.headers) },
      {
        'x-forwarded-for': '203.0.113.7',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'a.devices.example',
        'x-keep': '2',
      },
    )
  })

  test('stays within what the device holds, for any headers', () => {
    const header = fc.tuple(fc.stringMatching(/^[a-z-]{1,20}$/), fc.stringMatching(/^[ -~]{0,200}$/))
    fc.assert(
      fc.property(
        fc.array(header, { maxLength: 40 }),
        fc.integer({ min: 128, max: 2_048 }),
        (headers, maxBytes) => {
          const built = head(headers.flat(), { maxBytes })
          if (!built.ok) return
          let size = 'GET / HTTP/1.1\r\n\r\n'.length
          for (const [name, value] of Object.entries(blockOf(built.headers))) {
            for (const each of Array.isArray(value) ? value : [value]) size += name.length + each.length + 4
          }
          assert.ok(size <= maxBytes, `${size} > ${maxBytes}`)
        },
      ),
    )
  })

  test('leaves out what is wished for before what is needed, and refuses to leave out what is needed', () => {
    const long = 'x'.repeat(300)
    const built = head(['Accept', long, 'If-Match', '"a"', 'Content-Type', 'text/plain'], {
      maxBytes: 300,
      bodyLength: 3,
    })
    assert.ok(built.ok)
    assert.deepEqual(Object.keys(blockOf(built.headers)).slice(0, 3), [
      'content-length',
      'content-type',
      'if-match',
    ])
    assert.equal(blockOf(built.headers)['accept'], undefined)
    assert.deepEqual(head(['If-Match', long], { maxBytes: 300 }), { ok: false, code: 'headers_too_large' })
    assert.deepEqual(head([], { maxBytes: 300, path: `/${long}` }), { ok: false, code: 'uri_too_long' })
  })

  test('T8: a header named __proto__ is a header', () => {
    const built = head(['__proto__', 'x', 'constructor', 'y'])
    assert.ok(built.ok)
    assert.equal(Object.getPrototypeOf(blockOf(built.headers)), null)
    assert.equal(blockOf(built.headers)['constructor'], 'y')
  })
})

suite('the response policy', () => {
  const context = { surface: 'own_origin', method: 'GET', place } as const

  test('T1: never lets through what could not be written as a header', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.string({ unit: 'binary' })),
      fc.anything(),
    )
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.oneof(fc.string(), fc.constantFrom('X-A', 'Location', 'Set-Cookie', 'Refresh')),
          anything,
        ),
        (headers) => {
          const built = buildResponseHead({ status: 200, headers }, context)
          if (!built.ok) return
          for (let index = 0; index < built.headers.length; index += 2) {
            assert.match(built.headers[index]!, HEADER_NAME)
            assert.doesNotMatch(built.headers[index + 1]!, BAD_VALUE)
            assert.match(built.headers[index + 1]!, /^[\x00-\xff]*$/)
            assert.doesNotMatch(built.headers[index]!, /^(content-length|transfer-encoding|connection)$/i)
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('T1: headers that a frame carried are judged like those of an object', () => {
    const name = fc.constantFrom(
      'a',
      'connection',
      'set-cookie',
      'etag',
      'x-wmoc-a',
      ':epoch',
      'content-type',
      'a b',
    )
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'etag', '5', 'a\nb'))
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([one]) => one }), (pairs) => {
        const list = pairs.flat()
        const headers = Object.fromEntries(pairs)
        assert.deepEqual(
          buildResponseHead({ status: 200, list }, context),
          buildResponseHead({ status: 200, headers }, context),
        )
      }),
      { numRuns: 1_000 },
    )
    assert.deepEqual(buildResponseHead({ status: 200, list: [':controller', 'a'] }, context), {
      ok: false,
      reason: 'header_name',
    })
  })

  test('text beyond Latin-1 goes as its UTF-8 octets', () => {
    const built = buildResponseHead(
      { status: 200, headers: { 'Content-Disposition': 'attachment; filename="лог.csv"' } },
      context,
    )
    assert.ok(built.ok)
    assert.equal(Buffer.from(built.headers[1]!, 'latin1').toString(), 'attachment; filename="лог.csv"')
  })

  test('O15: only the person’s own browser may keep a page', () => {
    const cases: [string | undefined, boolean, string][] = [
      [undefined, false, 'private, no-store'],
      [undefined, true, 'private, no-cache'],
      ['public, max-age=60', false, 'private, max-age=60'],
      ['public', false, 'private, no-store'],
      ['s-maxage=9, immutable, max-age=1', true, 'private, immutable, max-age=1'],
      ['no-store', true, 'private, no-store'],
    ]
    for (const [given, hasValidator, expected] of cases) {
      const built = buildResponseHead(
        {
          status: 200,
          headers: { ...(given ? { 'Cache-Control': given } : {}), ...(hasValidator ? { ETag: '"a"' } : {}) },
        },
        context,
      )
      assert.ok(built.ok)
      assert.equal(built.headers[built.headers.indexOf('Cache-Control') + 1], expected)
    }
  })

  test('O10: nothing that a browser keeps for the whole host, or for its session there, gets through', () => {
    const names = [
      'Secure-Session-Registration',
      'Sec-Session-Registration',
      'Secure-Session-Challenge',
      'Set-Login',
      'Use-As-Dictionary',
      'Accept-CH',
      'Critical-CH',
      'Attribution-Reporting-Register-Source',
    ]
    for (const surface of ['own_origin', 'frame', 'api'] as const) {
      const given = Object.fromEntries(names.map((name) => [name, '?1']))
      const built = buildResponseHead({ status: 200, headers: given }, { ...context, surface })
      assert.ok(built.ok)
      for (const name of names) assert.ok(!built.headers.includes(name), `${surface} ${name}`)
    }
  })

  test('a device cannot name away what protects the user', () => {
    const built = buildResponseHead(
      {
        status: 200,
        headers: { Connection: 'x-content-type-options, content-security-policy, cache-control' },
      },
      context,
    )
    assert.ok(built.ok)
    for (const name of ['X-Content-Type-Options', 'Content-Security-Policy', 'Cache-Control'])
      assert.ok(built.headers.includes(name))
  })
})

suite('references of devices', () => {
  test('P13: its own address becomes public, other inner addresses are refused, the outer world stays', () => {
    const cases: [string, string | null][] = [
      ['/a', '/a'],
      ['a/b', 'a/b'],
      ['?x', '?x'],
      ['', ''],
      ['http://192.168.1.50/a', '/a'],
      ['HTTP://192.168.1.50:8080?x', '/?x'],
      ['https://a.devices.example/x', '/x'],
      ['http://10.0.0.1/', null],
      ['http://0x7f000001/', null],
      ['http://127.1/', null],
      ['http://[::1]/', null],
      ['http://[fe80::1]/', null],
      ['http://printer.local/', null],
      ['http://router/', null],
      ['http://user@example.com/', null],
      ['\\\\10.0.0.1\\x', null],
      ['javascript:alert(1)', null],
      ['data:text/html,x', null],
      ['/\t/10.0.0.1/', null],
      ['ht\ttp://10.0.0.1/', null],
      ['java\tscript:alert(1)', null],
      ['http://10.0.0%2e1/', null],
      ['http://%31%30.0.0.1/', null],
      ['http://10\xe3\x80\x820.0.1/', null],
      ['http://router%2elocal/', null],
      ['http://a b.example/', null],
      ['https://example.com/x', 'https://example.com/x'],
      ['https://example.com:8443/a?b#c', 'https://example.com:8443/a?b#c'],
      ['//example.com/x', '//example.com/x'],
      ['https://b\xc3\xbccher.example/x', 'https://b\xc3\xbccher.example/x'],
    ]
    for (const [given, expected] of cases) assert.equal(rewriteReference(given, place), expected, given)
  })

  test('a device that told no address can only mean itself by an inner one', () => {
    const silent = { ...place, hosts: [], prefix: '/c/x', publicPrefix: '/c/x' }
    assert.equal(rewriteReference('http://192.168.4.1/setup', silent), '/c/x/setup')
    assert.equal(rewriteReference('http://esp.local', silent), '/c/x/')
    assert.equal(rewriteReference('/setup', silent), '/c/x/setup')
  })

  test('a page in a frame stays in it, at whatever port of its device', () => {
    const frame = {
      ...place,
      prefix: '/c/x~cap',
      publicPrefix: '/c/x',
      ports: [81, 8080],
      pageHost: 'portal.example',
    }
    const cases: [string, string | null][] = [
      ['/a', '/c/x~cap/a'],
      ['a', 'a'],
      ['//evil.example', '//evil.example'],
      ['http://192.168.1.50/a', '/c/x~cap/a'],
      ['http://192.168.1.50:81/a', '/c/x~cap~81/a'],
      ['https://portal.example/a', '/c/x~cap/a'],
      ['https://portal.example/c/x/a', '/c/x~cap/a'],
      ['https://portal.example/c/x~cap/a', '/c/x~cap/a'],
      ['https://portal.example/c/y/a', '/c/x~cap/c/y/a'],
      ['http://portal.example:8080/a', '/c/x~cap~8080/a'],
      ['/c/x/a', '/c/x~cap/a'],
      ['http://10.0.0.1/', null],
    ]
    for (const [given, expected] of cases) assert.equal(rewriteReference(given, frame), expected, given)
    assert.equal(rewriteReference('/a', { ...frame, port: 81 }), '/c/x~cap~81/a')
    const silent = { ...frame, hosts: [] }
    assert.equal(rewriteReference('http://10.0.0.1:81/a', silent), '/c/x~cap~81/a')
  })

  test('a page of its own origin reaches other ports of its device below /_wmoc/port', () => {
    const own = { ...place, ports: [81] }
    assert.equal(rewriteReference('http://192.168.1.50:81/a', own), '/_wmoc/port/81/a')
    assert.equal(rewriteReference('/a', { ...own, port: 81 }), '/_wmoc/port/81/a')
    assert.equal(rewriteReference('http://192.168.1.50/a', { ...own, port: 81 }), '/a')
  })

  test('Refresh is rewritten like Location', () => {
    const cases: [string, string | null][] = [
      ['5', '5'],
      ['5; url=/next', '5; url=/next'],
      ['0;URL="http://192.168.1.50/a"', '0; url=/a'],
      ['0; url=javascript:alert(1)', null],
      ['0; url=http://10.1.1.1/', null],
      ['x', null],
    ]
    for (const [given, expected] of cases) assert.equal(rewriteRefresh(given, place), expected, given)
  })

  test('inner hosts are known in every spelling', () => {
    for (const host of [
      '10.1.2.3',
      '172.31.0.1',
      '192.168.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '127.0.0.1',
      '2130706433',
      '0177.0.0.1',
      '::1',
      'fd00::1',
      '::ffff:10.0.0.1',
      'x.local',
      'localhost',
      'nas',
    ]) {
      assert.ok(isPrivateHost(host), host)
    }
    for (const host of ['example.com', '93.184.216.34', '172.32.0.1', '2001:db8::1', 'local.example'])
      assert.ok(!isPrivateHost(host), host)
  })
})

suite('cookies', () => {
  test('O7: own-origin cookies lose Domain, gain Secure and never take a name of ours', () => {
    assert.deepEqual(
      ownOriginSetCookies([
        'a=1; Domain=x; Path=/p; Max-Age=5; Partitioned; SameSite=None',
        '__Host-WMOC_page=1',
        'b',
        '=c',
        'd=1\r\nX: y',
        `e=${'x'.repeat(5_000)}`,
      ]),
      ['a=1; Path=/p; Max-Age=5; Secure; SameSite=Lax'],
    )
  })

  test('O6, O8: the device’s part of a Cookie header is all but ours', () => {
    assert.equal(deviceCookies('a=1; __Host-wmoc_page=x; b=2; wmoc_y=3'), 'a=1; b=2')
    assert.equal(readCookie('a=1; __Host-wmoc_page=x; __Host-wmoc_page=y', '__Host-wmoc_page'), 'x')
    assert.equal(readCookie('x__Host-wmoc_page=y', '__Host-wmoc_page'), null)
  })

  test('the jar follows path and age', () => {
    const jar = updateJar(
      [],
      ['a=1; Path=/', 'b=2; Path=/adm', 'c=3; Max-Age=0', 'd=4; Max-Age=10', '__Host-wmoc_page=5'],
      '/x/y',
      1_000,
    )
    assert.equal(cookiesFor(jar, '/adm/x', 1_000), 'b=2; a=1')
    assert.equal(cookiesFor(jar, '/admin', 1_000), 'a=1')
    assert.equal(cookiesFor(jar, '/x/z', 1_000), 'd=4; a=1')
    assert.equal(cookiesFor(jar, '/x/z', 11_001), 'a=1')
    assert.equal(
      cookiesFor(
        updateJar(jar, ['a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], '/', 1_000),
        '/',
        1_000,
      ),
      '',
    )
  })

  test('a page cookie is read back as written and by nobody else’s hand', () => {
    const sign = (text: string) => `${text.length}k`
    const session = {
      userId: 'u',
      sessionId: 's',
      controllerId: 'c',
      label: 'l',
      accessEpoch: 2,
      expiresAt: PAGE_COOKIE_TTL_MS,
    }
    const value = writePageCookie(session, sign)
    const isEqual = (a: string, b: string) => a === b
    assert.deepEqual(readPageCookie(value, sign, isEqual), session)
    fc.assert(
      fc.property(fc.string(), (other) => {
        if (other !== value)
          assert.equal(
            readPageCookie(other, () => 'secret', isEqual),
            null,
          )
      }),
    )
  })
})

suite('access', () => {
  test('a viewer reads, others also change', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.ok(mayRequest('viewer', method))
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND'])
      assert.ok(!mayRequest('viewer', method))
    for (const role of ['owner', 'admin', 'operator'] as const) assert.ok(mayRequest(role, 'DELETE'))
  })

  test('O4: a request of another site changes nothing and loads nothing', () => {
    const none = {
      fetchSite: undefined,
      fetchMode: undefined,
      fetchDest: undefined,
      origin: undefined,
      accept: undefined,
    }
    const own = 'https://a.devices.example'
    const cases: [object, boolean][] = [
      [{ method: 'POST', fetchSite: 'same-origin' }, true],
      [{ method: 'POST', fetchSite: 'none' }, true],
      [{ method: 'POST', fetchSite: 'same-site', origin: own }, false],
      [{ method: 'POST', origin: own }, true],
      [{ method: 'POST', origin: 'null' }, false],
      [{ method: 'POST' }, false],
      [{ method: 'GET' }, true],
      [{ method: 'GET', fetchSite: 'cross-site', fetchMode: 'navigate', fetchDest: 'document' }, true],
      [{ method: 'GET', fetchSite: 'cross-site', fetchMode: 'navigate', fetchDest: 'iframe' }, false],
      [{ method: 'GET', fetchSite: 'cross-site', fetchMode: 'no-cors', fetchDest: 'image' }, false],
    ]
    for (const [given, expected] of cases) {
      assert.equal(
        isSameOrigin({ ...none, ...(given as { method: string }) }, own),
        expected,
        JSON.stringify(given),
      )
    }
    assert.ok(isNavigation({ ...none, method: 'GET', accept: 'text/html,*/*' }))
    assert.ok(!isNavigation({ ...none, method: 'GET', accept: 'text/html', fetchMode: 'cors' }))
    assert.ok(!isNavigation({ ...none, method: 'POST', fetchMode: 'navigate' }))
  })
})
