import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { announceTo } from '#src/page/testing/frames.ts'
import { addController, askedFor, look } from './testing/looker.ts'

const ROOM = { max_req_header: 2_048 }

suite('what is kept of a device’s page', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  async function served(changes: Parameters<typeof addController>[1] = {}) {
    const known = addController(harness, changes)
    const device = await harness.online(known, ROOM)
    return { known, device, times: (path: string) => askedFor(device.received, path) }
  }

  test('is served without the device while it is fresh, with its age, to the same person', async () => {
    const { known, device, times } = await served()
    device.serve(() => ({ headers: { 'Cache-Control': 'public, max-age=600', ETag: '"1"' }, body: 'kept' }))
    const owner = await look(harness, known)
    const first = await owner.load('/a.js')
    const second = await owner.load('/a.js')
    assert.deepEqual([first.text, second.text, times('/a.js')], ['kept', 'kept', 1])
    assert.equal(second.headers['cache-control'], 'private, max-age=600')
    assert.match(second.headers.age!, /^\d+$/)
    assert.match(String(second.headers['server-timing']), /hit/)
    assert.equal(second.headers['set-cookie'], undefined)
  })

  test('is checked at the device by its validators, and a 304 makes it good again', async () => {
    const { known, device, times } = await served()
    let isChanged = false
    device.serve(({ headers }) =>
      headers['if-none-match'] === '"1"' && !isChanged
        ? { status: 304, headers: { ETag: '"1"' } }
        : { headers: { ETag: isChanged ? '"2"' : '"1"' }, body: isChanged ? 'new' : 'old' },
    )
    const owner = await look(harness, known)
    assert.equal((await owner.load('/page')).text, 'old')
    const checked = await owner.load('/page')
    assert.deepEqual([checked.status, checked.text, times('/page')], [200, 'old', 2])
    assert.match(String(checked.headers['server-timing']), /revalidated/)
    const browsers = await owner.load('/page', { headers: { 'if-none-match': '"1"' } })
    assert.deepEqual([browsers.status, browsers.text], [304, ''])
    isChanged = true
    assert.equal((await owner.load('/page')).text, 'new')
    assert.equal((await owner.load('/page', { headers: { 'if-none-match': '"1"' } })).status, 200)
  })

  test('answers a browser’s own conditions, ranges and HEAD by itself', async () => {
    const { known, device, times } = await served()
    device.serve(() => ({
      headers: { 'Cache-Control': 'max-age=600', ETag: '"1"', 'Content-Type': 'audio/mpeg' },
      body: '0123456789',
    }))
    const owner = await look(harness, known)
    await owner.load('/song')
    const part = await owner.load('/song', { headers: { range: 'bytes=2-4' } })
    assert.deepEqual([part.status, part.text, part.headers['content-range']], [206, '234', 'bytes 2-4/10'])
    assert.equal((await owner.load('/song', { headers: { range: 'bytes=-3' } })).text, '789')
    const beyond = await owner.load('/song', { headers: { range: 'bytes=99-' } })
    assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, 'bytes */10'])
    const other = await owner.load('/song', { headers: { range: 'bytes=2-4', 'if-range': '"0"' } })
    assert.deepEqual([other.status, other.text], [200, '0123456789'])
    const head = await owner.load('/song', { method: 'HEAD' })
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '10'])
    assert.equal((await owner.load('/song', { headers: { 'if-none-match': 'W/"1"' } })).status, 304)
    assert.equal(times('/song'), 1)
  })

  test('is nothing of what has no validator, forbids it, or sets cookies', async () => {
    const { known, device, times } = await served()
    const answers: Record<string, Record<string, string | string[]>> = {
      '/plain': {},
      '/no-store': { 'Cache-Control': 'no-store, max-age=600', ETag: '"1"' },
      '/cookie': { 'Cache-Control': 'max-age=600', 'Set-Cookie': 'a=b' },
      '/star': { 'Cache-Control': 'max-age=600', Vary: '*' },
    }
    device.serve(({ path }) => ({ headers: answers[path]!, body: path }))
    const owner = await look(harness, known)
    for (const path of Object.keys(answers)) {
      await owner.load(path)
      await owner.load(path)
      assert.equal(times(path), 2, path)
    }
    const reload = { headers: { 'cache-control': 'no-store' } }
    device.serve(() => ({ headers: { 'Cache-Control': 'max-age=600' }, body: 'x' }))
    await owner.load('/asked', reload)
    await owner.load('/asked', reload)
    assert.equal(times('/asked'), 2)
  })

  test('names with a hash are good without a word of the device, until its firmware is another', async () => {
    const { known, device, times } = await served({ firmwareVersion: '1.0' })
    device.serve(() => ({ headers: { 'Content-Type': 'text/javascript' }, body: 'code' }))
    const owner = await look(harness, known)
    await owner.load('/app.3f9a1c.js')
    const kept = await owner.load('/app.3f9a1c.js')
    assert.deepEqual([times('/app.3f9a1c.js'), kept.headers['cache-control']], [1, 'private, max-age=3600'])
    await owner.load('/app.js')
    await owner.load('/app.js')
    assert.equal(times('/app.js'), 2)

    harness.controlPlane.controllers.set(known.record.controllerId, {
      ...known.record,
      firmwareVersion: '1.1',
    })
    await announceTo(harness, { type: 'controller_changed', controllerId: known.record.controllerId })
    await until(async () => {
      await owner.load('/app.3f9a1c.js')
      return times('/app.3f9a1c.js') === 2
    })
  })

  test('is forgotten when somebody changes what is at its address', async () => {
    const { known, device, times } = await served()
    device.serve(({ method }) =>
      method === 'GET' ? { headers: { 'Cache-Control': 'max-age=600' }, body: 'state' } : { status: 204 },
    )
    const owner = await look(harness, known)
    const other = await look(harness, known)
    for (const person of [owner, other]) await person.load('/state')
    await owner.script('/elsewhere', { method: 'POST', body: 'x' })
    for (const person of [owner, other]) await person.load('/state')
    assert.equal(times('/state'), 2)
    await owner.script('/state', { method: 'PUT', body: 'x' })
    for (const person of [owner, other]) await person.load('/state')
    assert.equal(times('/state'), 2 + 1 + 2)
  })

  test('a device that came anew is asked whether it is still its page; another page replaces all of it', async () => {
    const { known, device } = await served()
    const page = (version: string) => (request: { path: string; headers: object }) =>
      (request.headers as Record<string, string>)['if-none-match'] === `"${version}"`
        ? { status: 304, headers: { ETag: `"${version}"` } }
        : {
            headers: { 'Cache-Control': 'max-age=600', ETag: `"${version}"` },
            body: `${version} ${request.path}`,
          }
    device.serve(page('1'))
    const owner = await look(harness, known)
    await owner.load('/a')
    await owner.load('/b.3f9a1c.js')
    device.stop()
    const again = await harness.online(known, ROOM)
    again.serve(page('1'))
    assert.match(String((await owner.load('/a')).headers['server-timing']), /revalidated/)
    assert.match(String((await owner.load('/a')).headers['server-timing']), /hit/)
    again.stop()
    const anew = await harness.online(known, ROOM)
    anew.serve(page('2'))
    assert.equal((await owner.load('/a')).text, '2 /a')
    assert.equal((await owner.load('/b.3f9a1c.js')).text, '2 /b.3f9a1c.js')
  })

  test('stands in for a device that fails, as long as the device said', async () => {
    const { known, device } = await served()
    let isBroken = false
    device.serve(({ path }) =>
      isBroken
        ? { status: 500, body: 'broken' }
        : {
            headers: {
              ETag: '"1"',
              'Cache-Control': path === '/a' ? 'max-age=0, stale-if-error=600' : 'max-age=0',
            },
            body: 'good',
          },
    )
    const owner = await look(harness, known)
    await owner.load('/a')
    await owner.load('/b')
    isBroken = true
    assert.deepEqual([(await owner.load('/a')).text, (await owner.load('/b')).text], ['good', 'broken'])
    device.stop()
    await until(async () => (await owner.load('/b')).status === 503)
    assert.equal((await owner.load('/a')).text, 'good')
  })

  test('what may be stale while it is asked for comes at once, and is new the next time', async () => {
    const { known, device, times } = await served()
    let version = 0
    device.serve(() => ({
      headers: { 'Cache-Control': 'max-age=0, stale-while-revalidate=600' },
      body: `v${(version += 1)}`,
    }))
    const owner = await look(harness, known)
    assert.equal((await owner.load('/a')).text, 'v1')
    assert.equal((await owner.load('/a')).text, 'v1')
    await until(() => times('/a') === 2)
    await until(async () => (await owner.load('/a')).text !== 'v1')
  })

  test('O15: one person never gets what another one’s page was, unless its owner made it public', async () => {
    for (const [pageCache, expected] of [
      ['private', 2],
      ['public', 1],
      ['off', 4],
    ] as const) {
      const { known, device, times } = await served({ pageCache })
      device.serve(() => ({ headers: { 'Cache-Control': 'public, max-age=600' }, body: 'x' }))
      const first = await look(harness, known)
      const second = await look(harness, known)
      for (const person of [first, second, first, second])
        assert.equal((await person.load('/a.js')).headers['cache-control'], 'private, max-age=600')
      assert.equal(times('/a.js'), expected, pageCache)
    }
  })

  test('O15: even in public, what was asked with cookies or a password stays one person’s own', async () => {
    const { known, device, times } = await served({ pageCache: 'public' })
    device.serve(({ headers }) => ({
      headers: { 'Cache-Control': 'max-age=600' },
      body: `${String(headers['cookie'] ?? '')} ${String(headers['authorization'] ?? '')}`,
    }))
    const first = await look(harness, known)
    const second = await look(harness, known)
    const signedIn = { headers: { cookie: 'who=first' } }
    assert.equal((await first.load('/me', signedIn)).text, 'who=first ')
    assert.equal((await second.load('/me', { headers: { cookie: 'who=second' } })).text, 'who=second ')
    assert.equal((await first.load('/me', { headers: { cookie: 'who=other' } })).text, 'who=other ')
    assert.equal((await first.load('/me', signedIn)).text, 'who=first ')
    assert.equal((await second.load('/me')).text, ' ')
    assert.equal(times('/me'), 4)
    await first.load('/auth', { headers: { authorization: 'Basic Zmlyc3Q=' } })
    assert.equal((await second.load('/auth')).text, ' ')
    device.serve(() => ({ headers: { 'Cache-Control': 'private, max-age=600' }, body: 'p' }))
    await first.load('/private')
    await second.load('/private')
    assert.equal(times('/private'), 2)
  })

  test('O15: a device that varies by what nobody sends fills no memory, and poisons nothing', async () => {
    const { known, device, times } = await served()
    let count = 0
    device.serve(({ headers }) => ({
      headers: { 'Cache-Control': 'max-age=600', Vary: 'X-Lang' },
      body: `${String(headers['x-lang'] ?? 'none')} ${(count += 1)}`,
    }))
    const owner = await look(harness, known)
    assert.equal((await owner.load('/a')).text, 'none 1')
    for (let at = 0; at < 10; at += 1)
      assert.match((await owner.load('/a', { headers: { 'x-lang': `l${at}` } })).text, new RegExp(`^l${at} `))
    assert.equal((await owner.load('/a', { headers: { 'x-lang': 'l9' } })).text, 'l9 11')
    assert.equal(times('/a'), 11)
    assert.match((await owner.load('/a')).text, /^none 12$/)
    const entries = /wmoc_gateway_page_cache_entries (\d+)/.exec(await harness.metrics())
    assert.ok(Number(entries![1]) < 100)
  })

  test('a length that lies keeps nothing, and the cut is seen', async () => {
    const { known, device, times } = await served()
    device.serve(({ id }) => {
      const headers = { 'Cache-Control': 'max-age=600', 'Content-Length': '100' }
      device.send({ type: 'http_response', id, status: 200, headers, body: 'short', more: true })
      setTimeout(() => device.send({ type: 'http_response_chunk', id, body: 'er', more: false }), 20)
      return null
    })
    const owner = await look(harness, known)
    const tabs = await Promise.all([owner.load('/a'), owner.load('/a')])
    for (const { isCut } of tabs) assert.ok(isCut)
    await owner.load('/a')
    assert.equal(times('/a'), 2)
  })

  test('the API is told what it spared the device, once it is back', async () => {
    const { known, device } = await served()
    device.serve(() => ({ headers: { 'Cache-Control': 'max-age=600' }, body: '0123456789' }))
    const owner = await look(harness, known)
    for (let at = 0; at < 5; at += 1) await owner.load('/a')
    const { controllerId } = known.record
    const mine = () =>
      harness.controlPlane.pageFigures.flatMap(({ figures }) =>
        figures.filter((entry) => entry.controllerId === controllerId),
      )
    await until(() => mine().length > 0, 30_000)
    assert.deepEqual(mine(), [
      { controllerId, requests: 5, fromCache: 4, coalesced: 0, bytesToUsers: 50, bytesFromDevice: 10 },
    ])
  })
})
