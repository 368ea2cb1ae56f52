import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import { testRedis } from '@wmoc/testkit/redis'
import { startControlPlane } from '#src/testing/control-plane-server.ts'
import type { Person } from '#src/testing/control-plane-server.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Answer, Ask, Harness } from '#src/testing/harness.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'
import { announceTo, IN_FRAME, openFrame, served } from '../testing/frames.ts'
import { createCopies, SLOT_BYTES } from './copies.ts'

const PART = { ...IN_FRAME, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'style', accept: 'text/css' }
const FETCH = {
  ...IN_FRAME,
  'sec-fetch-mode': 'cors',
  'sec-fetch-dest': 'empty',
  accept: '*/*',
  origin: 'null',
}
const HTML =
  '<!doctype html><html><head><link rel=stylesheet href="a.css"></head><body><h1>21.5</h1></body></html>'
const quiet = createLogger({ process: 'gateway', level: 'silent' })

type Reply = Exclude<ReturnType<Parameters<RawDevice['serve']>[0]>, null>

/** Serves these replies by path. */
function serve(device: RawDevice, replies: Record<string, Reply>): void {
  device.serve(({ path }) => replies[path] ?? { status: 404 })
}
const html = (body: string, headers: Record<string, string> = {}): Reply => ({
  headers: { 'Content-Type': 'text/html', ...headers },
  body,
})
const css: Reply = { headers: { 'Content-Type': 'text/css' }, body: 'h1{color:red}' }

suite('a device that is away', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ DEVICE_DOMAIN: '' })
  })
  after(() => harness.stop())

  async function visited(replies: Record<string, Reply> = { '/': html(HTML), '/a.css': css }) {
    const { known, device, id, person } = await served(harness)
    serve(device, replies)
    const at = await visitor(harness, id, person)
    return { known, device, id, person, at }
  }

  async function visitor(at: Harness, id: string, person: Person) {
    const { src } = await openFrame(at, id, person)
    const ask = (path: string, given: Omit<Partial<Ask>, 'path'> = {}) =>
      at.ask({ ...given, path: src.slice(0, -1) + path, headers: { ...IN_FRAME, ...given.headers } })
    return {
      src,
      open: ask,
      part: (path: string) => ask(path, { headers: PART }),
      fetch: (path: string, given: Omit<Partial<Ask>, 'path'> = {}) =>
        ask(path, { ...given, headers: { ...FETCH, ...given.headers } }),
    }
  }

  async function leave(device: RawDevice): Promise<void> {
    device.stop()
    await device.closed
  }

  const isFrozen = ({ headers }: Answer) => headers['x-wmoc-frozen'] !== undefined
  /** The copy is written a little later. */
  async function frozen(open: () => Promise<Answer>): Promise<Answer> {
    let answer = await open()
    await until(async () => isFrozen((answer = await open())))
    return answer
  }

  test('shows the last good copy of a page that was opened: stamped, without script, form and connection', async () => {
    const { at, device } = await visited()
    assert.equal((await at.open('/')).status, 200)
    assert.equal((await at.part('/a.css')).status, 200)
    await leave(device)
    const page = await frozen(() => at.open('/'))
    assert.equal(page.status, 503)
    assert.match(page.text, /<h1>21\.5<\/h1>.*role="status".*As of <time datetime="20.*<\/body>/s)
    const policies = String(page.headers['content-security-policy'])
    for (const part of ["script-src 'none'", "form-action 'none'", "connect-src 'none'"])
      assert.ok(policies.includes(part), policies)
    const sandboxes = policies.split(',').filter((policy) => policy.includes('sandbox'))
    assert.ok(
      sandboxes.some((policy) => !policy.includes('allow-scripts') && !policy.includes('allow-forms')),
    )
    assert.equal(page.headers['cache-control'], 'no-store')
    assert.ok(Number(page.headers['retry-after']) > 0)
    const part = await at.part('/a.css')
    assert.deepEqual(
      [part.status, part.text, part.headers['content-type']],
      [200, 'h1{color:red}', 'text/css'],
    )
    const russian = await at.open('/', { headers: { 'accept-language': 'ru' } })
    assert.match(russian.text, /&#1055;&#1086;/)
  })

  test('answers whatever changes something, and what a script asks for, with a problem and never with a page', async () => {
    const { at, device } = await visited({
      '/': html(HTML),
      '/data': { headers: { 'Content-Type': 'application/json' }, body: '{}' },
    })
    await at.open('/')
    await at.fetch('/data')
    await leave(device)
    await frozen(() => at.open('/'))
    for (const answer of [
      await at.fetch('/data'),
      await at.fetch('/', { method: 'POST', body: 'x=1' }),
      await at.open('/', { method: 'POST', body: 'x=1' }),
      await at.part('/never.css'),
    ]) {
      assert.equal(answer.status, 503)
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/)
      assert.equal((JSON.parse(answer.text) as { code: string }).code, 'device_offline')
      assert.ok(Number(answer.headers['retry-after']) > 0)
    }
  })

  test('without a copy shows a page of ours that says since when and what waits, and opens the real one by itself', async () => {
    const { at, device, known } = await visited()
    const seen = Date.UTC(2026, 1, 3, 4, 5)
    Object.assign(harness.controlPlane.state.away, { lastSeenAt: seen, queuedCommands: 3 })
    await leave(device)
    const page = await at.open('/never-seen', { headers: { 'accept-language': 'de, ru;q=0.5, en;q=0.4' } })
    assert.equal(page.status, 503)
    assert.equal(page.headers['x-wmoc-page'], 'own')
    assert.match(page.text, /Контроллер не в сети/)
    assert.match(page.text, /Boiler/)
    assert.match(page.text, /Команд ждёт его: 3/)
    const script = /<script data-alive="([^"]+)">(.*)<\/script>/.exec(page.text)!
    const hash = createHash('sha256').update(script[2]!).digest('base64')
    assert.ok(String(page.headers['content-security-policy']).includes(`script-src 'sha256-${hash}'`))
    const alive = () => harness.ask({ path: script[1]!, headers: FETCH })
    assert.equal((await alive()).status, 503)
    const back = await harness.online(known, { max_req_header: 2_048 })
    serve(back, { '/never-seen': html('here') })
    const there = await alive()
    assert.deepEqual([there.status, there.headers['access-control-allow-origin']], [204, 'null'])
    assert.equal((await at.open('/never-seen')).text.includes('here'), true)
  })

  test('shows the same where it leaves before it has answered, but for what may have changed something', async () => {
    const { at, device, known } = await visited()
    const leaves = (left: RawDevice) =>
      left.serve(() => {
        left.stop()
        return null
      })
    leaves(device)
    const page = await at.open('/never-seen')
    assert.deepEqual([page.status, page.headers['x-wmoc-page']], [503, 'own'])
    leaves(await harness.online(known, { max_req_header: 2_048 }))
    const sent = await at.open('/', { method: 'POST', body: 'x=1' })
    assert.equal(sent.status, 502)
    assert.equal((JSON.parse(sent.text) as { code: string }).code, 'device_disconnected')
  })

  test('has no copy of what it does not want kept, of errors and of what is too big', async () => {
    const { at, device } = await visited({
      '/secret': html('<p>1</p>', { 'Cache-Control': 'no-store' }),
      '/private': html('<p>2</p>', { 'Cache-Control': 'private' }),
      '/broken': { ...html('<p>3</p>'), status: 500 },
      '/big': html(`<p>${'x'.repeat(140_000)}</p>`),
      '/lying': html('<p>4</p>', { 'Content-Encoding': 'gzip' }),
    })
    for (const path of ['/secret', '/broken', '/big', '/private']) await at.open(path)
    await at.open('/lying').catch(() => undefined)
    await leave(device)
    await frozen(() => at.open('/private'))
    for (const path of ['/secret', '/broken', '/big', '/lying'])
      assert.equal(isFrozen(await at.open(path)), false, path)
  })

  test('keeps what came packed, and shows it unpacked', async () => {
    const packed = { bodyEncoding: 'base64' as const, body: gzipSync(HTML).toString('base64') }
    const { at, device } = await visited({ '/': { ...html('', { 'Content-Encoding': 'gzip' }), ...packed } })
    await at.open('/', { headers: { 'accept-encoding': 'gzip' } })
    await leave(device)
    assert.match((await frozen(() => at.open('/'))).text, /<h1>21\.5/)
  })

  test('T9: a bomb is no copy', async () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000, 0x20)).toString('base64')
    const { at, device } = await visited({
      '/': html(HTML),
      '/bomb': { ...html('', { 'Content-Encoding': 'gzip' }), bodyEncoding: 'base64', body: bomb },
    })
    await at.open('/bomb', { headers: { 'accept-encoding': 'gzip' } }).catch(() => undefined)
    await at.open('/')
    await leave(device)
    await frozen(() => at.open('/'))
    assert.equal(isFrozen(await at.open('/bomb')), false)
  })

  test('O15: shows a person’s copy to nobody else, also where pages are shared but this one was told to one person', async () => {
    const { at, device, id } = await visited()
    await at.open('/')
    const other = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(other, id)
    const theirs = await visitor(harness, id, other)
    await leave(device)
    await frozen(() => at.open('/'))
    assert.equal(isFrozen(await theirs.open('/')), false)
  })

  test('that is suspended is said to be suspended, and one that is gone is nothing that could be away', async () => {
    const { at, device, id } = await visited()
    await at.open('/')
    await leave(device)
    await frozen(() => at.open('/'))
    const record = harness.controlPlane.controllers.get(id)!
    const change = async (state: 'suspended' | 'revoked') => {
      harness.controlPlane.controllers.set(id, { ...record, state })
      await announceTo(harness, { type: 'controller_changed', controllerId: id })
    }
    await change('suspended')
    await until(async () => /suspended/.test((await at.open('/')).text))
    assert.equal(isFrozen(await at.open('/')), false)
    assert.doesNotMatch((await at.open('/')).text, /<script/)
    await change('revoked')
    await until(async () => (await at.open('/')).status === 404)
  })

  test('a device can’t say of itself that it is away, nor that its page is ours', async () => {
    const { at } = await visited({
      '/': { ...html('mine', { 'X-WMOC-Away': 'device', 'X-WMOC-Page': 'own' }), status: 503 },
    })
    const answer = await at.open('/')
    assert.equal(answer.status, 503)
    assert.match(answer.text, /mine/)
    assert.equal(answer.headers['x-wmoc-page'], undefined)
  })

  test('is the same to programs as ever', async () => {
    const { device, id, person } = await visited()
    await leave(device)
    const answer = await harness.api(person, id, { headers: { accept: 'text/html' } })
    assert.deepEqual(
      [answer.status, answer.headers['content-type']],
      [503, 'application/problem+json; charset=utf-8'],
    )
  })
})

suite('a device that is away, on its own origin', () => {
  let harness: Harness
  before(async () => {
    // So many slots that no two copies of this suite meet in one.
    harness = await startHarness({ FROZEN_PAGES_BYTES: String(2 ** 36) })
  })
  after(() => harness.stop())

  /** As a browser that came from the portal. */
  async function visitor(id: string, { refreshToken }: Person) {
    const navigate = { ...IN_FRAME, 'sec-fetch-dest': 'document', 'sec-fetch-site': 'none' }
    const left = await harness.ask({
      path: `/c/${id}/`,
      headers: { ...navigate, cookie: `__Host-wmoc_refresh=${refreshToken}` },
    })
    const url = new URL(left.headers.location!)
    const entered = await harness.ask({ host: url.host, path: url.pathname + url.search, headers: navigate })
    const cookie = entered.headers['set-cookie']![0]!.split(';')[0]!
    return (path: string, more = '') =>
      harness.ask({ host: url.host, path, headers: { ...navigate, cookie: cookie + more } })
  }

  const isFrozen = ({ headers }: Answer) => headers['x-wmoc-frozen'] !== undefined

  async function published(pageCache: 'private' | 'public') {
    const known = harness.controlPlane.addController({ pageCache })
    const id = known.record.controllerId
    const [one, two] = [await harness.controlPlane.addPerson(), await harness.controlPlane.addPerson()]
    for (const person of [one, two]) harness.controlPlane.grant(person, id)
    const device = await harness.online(known, { max_req_header: 2_048 })
    serve(device, { '/': html(HTML), '/mine': html(HTML) })
    return { device, first: await visitor(id, one), second: await visitor(id, two) }
  }

  test('O15: a copy is everybody’s where the owner says so, but for what the device told one person', async () => {
    const { device, first, second } = await published('public')
    await first('/')
    await first('/mine', '; sid=1')
    device.stop()
    await device.closed
    await until(async () => isFrozen(await second('/')))
    await until(async () => isFrozen(await first('/mine')))
    assert.equal(isFrozen(await second('/mine')), false)
  })

  test('looks again by itself, runs no script and stays in its own frame', async () => {
    const { device, first, second } = await published('private')
    await first('/')
    device.stop()
    await device.closed
    await until(async () => isFrozen(await first('/')))
    const { headers } = await first('/')
    assert.ok(Number(headers['refresh']) > 0)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /script-src 'none'.*frame-ancestors 'self'/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(isFrozen(await second('/')), false)
  })
})

suite('copies of pages', () => {
  test('outlive the shard that made them', async () => {
    const [redis, controlPlane] = [await testRedis(), await startControlPlane()]
    const shared = { redis, controlPlane }
    const shard = (id: string) => startHarness({ DEVICE_DOMAIN: '', SHARD_ID: id }, quiet, shared)
    try {
      const first = await shard('gateway-0')
      const { device, id, person } = await served(first)
      serve(device, { '/': html(HTML) })
      const open = async (at: Harness) =>
        at.ask({ path: (await openFrame(at, id, person)).src, headers: IN_FRAME })
      assert.equal((await open(first)).status, 200)
      await first.stop()
      const second = await shard('gateway-1')
      assert.match((await open(second)).text, /21\.5.*As of/s)
      await second.stop()
    } finally {
      await controlPlane.stop()
      await redis.stop()
    }
  })

  test('never take more of the store than was allowed, whoever opens what', async () => {
    const redis = await testRedis()
    const store = openStore({ url: redis.url, log: quiet, name: 't' })
    try {
      const copies = createCopies(store, 2 * SLOT_BYTES, quiet)
      const noise = (size: number) => Buffer.from(Array.from({ length: size }, () => Math.random() * 256))
      for (let controller = 0; controller < 12; controller += 1) {
        for (let page = 0; page < 4; page += 1)
          copies.keep(
            { controllerId: `c${controller}`, accessEpoch: 1, holder: 'u' },
            { key: `frame  /${page}`, type: 'text/html', at: page, isDocument: true, body: noise(120_000) },
          )
        await copies.flush()
      }
      let bytes = 0
      for (const slot of [0, 1]) bytes += (await store.get(`wmoc:frozen:${slot}`))?.length ?? 0
      assert.ok(bytes > 0 && bytes <= 2 * SLOT_BYTES, String(bytes))
      assert.equal(await store.get('wmoc:frozen:2'), null)
      const last = { controllerId: 'c11', accessEpoch: 1, holder: 'u' }
      assert.ok((await copies.find(last, 'frame  /3')) !== null)
      assert.equal(await copies.find({ ...last, accessEpoch: 2 }, 'frame  /3'), null)
      assert.equal(await copies.find({ ...last, holder: 'v' }, 'frame  /3'), null)
    } finally {
      await store.close()
      await redis.stop()
    }
  })
})
