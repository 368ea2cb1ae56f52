import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { WebSocket } from 'ws'
import { startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import { IN_FRAME, openFrame, served } from './testing/frames.ts'

const PORTS = { page_ports: [81, 8080], ip: '192.168.1.50' }

suite('other ports of a device', () => {
  let cluster: Cluster
  /** Where the device is, … */
  let here: Harness
  /** … and one that reaches it over another shard. */
  let there: Harness
  before(async () => {
    cluster = await startCluster(2, { DEVICE_DOMAIN: '' })
    ;[here, there] = cluster.shards as [Harness, Harness]
  })
  after(() => cluster.stop())

  const at = (src: string, port: number | string) => `${src.slice(0, -1)}~${port}/`
  const get = (from: Harness, path: string, given: Partial<Ask> = {}) =>
    from.ask({ path, ...given, headers: { ...IN_FRAME, ...given.headers } })

  test('are reached in dialect v1, here and over another shard', async () => {
    const { id, person, device } = await served(here, 'owner', PORTS)
    const { src } = await openFrame(here, id, person)
    device.serve(({ path, headers }) => ({ body: `${String(headers['x-forwarded-port'])} ${path}` }))
    for (const shard of [here, there]) {
      assert.equal((await get(shard, `${at(src, 81)}a?b`)).text, '81 /a?b')
      assert.equal((await get(shard, at(src, 8_080))).text, '8080 /')
      assert.equal((await get(shard, src)).text, 'undefined /')
    }
  })

  test('are reached in dialect v2, here and over another shard, WebSockets too', async () => {
    const { known, id, person } = await served(here)
    const agent = await onlineV2(here.port, known, {
      rx_window: 65_536,
      rx_budget: 1_048_576,
      credentials: PORTS,
    })
    const portOf = (headers: readonly string[]) => headers[headers.indexOf('x-forwarded-port') + 1]
    agent.serve((asked) => {
      if (asked.kind === 'websocket')
        asked.stream.respond({ status: 101, headers: ['sec-websocket-protocol', 'arduino'] }, false)
      else answer(asked, `${portOf(asked.request.headers)} ${asked.request.path}`)
    })
    const { src } = await openFrame(here, id, person)
    for (const shard of [here, there]) {
      assert.equal((await get(shard, `${at(src, 81)}a`)).text, '81 /a')
      const socket = new WebSocket(`ws://127.0.0.1:${shard.port}${at(src, 81)}`, 'arduino', {
        origin: 'null',
        headers: { host: 'localhost:8080' },
      })
      await once(socket, 'open')
      assert.equal(portOf(agent.asked.at(-1)!.request.headers), '81')
      socket.terminate()
    }
    agent.stop()
  })

  test('P13: are those that the device announced; any other is refused in words that name them', async () => {
    const { id, person, device } = await served(here, 'owner', PORTS)
    const { src } = await openFrame(here, id, person)
    for (const shard of [here, there]) {
      const refused = await get(shard, at(src, 22))
      assert.equal(refused.status, 404)
      assert.match(refused.text, /does not offer port 22.*81, 8080/)
    }
    const plain = await served(here)
    const none = await openFrame(here, plain.id, plain.person)
    assert.match((await get(here, at(none.src, 81))).text, /offers: none/)
    for (const heard of [device, plain.device])
      assert.ok(heard.received.every((message) => !message.includes('http_request')))
  })

  test('P9: the port is the gateway’s to tell, and no diet takes it away', async () => {
    const { id, person, device } = await served(here, 'owner', { ...PORTS, max_req_header: 128 })
    const { src } = await openFrame(here, id, person)
    device.serve(({ headers }) => ({ body: String(headers['x-forwarded-port']) }))
    const headers = { 'x-forwarded-port': '22', 'x-long': 'x'.repeat(200) }
    assert.equal((await get(here, src, { headers })).text, 'undefined')
    assert.equal((await get(here, at(src, 81), { headers })).text, '81')
  })

  test('P13: have addresses below the controller’s, which open the shell for browsers and nothing for programs', async () => {
    const { id, person, device } = await served(here, 'owner', PORTS)
    const { src } = await openFrame(here, id, person)
    const kept = `/c/${id}/_wmoc/port/81/a?b`
    assert.equal(
      (await get(here, kept)).headers.location,
      `http://localhost:8080/open/${id}/_wmoc/port/81/a?b`,
    )
    const alone = await get(here, `${at(src, 81)}a?b`, { headers: { 'sec-fetch-dest': 'document' } })
    assert.equal(alone.headers.location, kept)
    const authorization = `Bearer ${person.accessToken}`
    for (const headers of [
      { authorization },
      { authorization, 'sec-fetch-mode': 'cors' },
      { 'sec-fetch-mode': 'cors' },
    ])
      assert.equal((await get(here, kept, { headers })).status, 404)
    for (const path of ['0/', '81', '%38%31/', '81%2f'])
      assert.equal((await get(here, `/c/${id}/_wmoc/port/${path}`)).status, 404)
    assert.ok(device.received.every((message) => !message.includes('http_request')))
  })

  test('lead on to each other by redirects', async () => {
    const { id, person, device } = await served(here, 'owner', PORTS)
    const { src } = await openFrame(here, id, person)
    device.serve(({ path }) => ({ status: 302, headers: { Location: decodeURIComponent(path.slice(1)) } }))
    const cases: [from: string, location: string, expected: string][] = [
      [src, 'http://192.168.1.50:81/a', `${at(src, 81)}a`],
      [at(src, 81), '/a', `${at(src, 81)}a`],
      [at(src, 81), 'http://192.168.1.50/a', `${src}a`],
      [at(src, 81), `/c/${id}/a`, `${at(src, 81)}a`],
    ]
    for (const [from, location, expected] of cases)
      assert.equal(
        (await get(here, from + encodeURIComponent(location))).headers.location,
        expected,
        location,
      )
  })
})

suite('other ports of a device with an origin of its own', () => {
  let cluster: Cluster
  let harness: Harness
  before(async () => {
    cluster = await startCluster(1)
    harness = cluster.shards[0]!
  })
  after(() => cluster.stop())

  const NAVIGATE = {
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
    'sec-fetch-site': 'none',
    accept: 'text/html',
  }

  test('lie below /_wmoc/port, behind the same cookie', async () => {
    const { known, id, person, device } = await served(harness, 'owner', { ...PORTS, max_req_header: 1_024 })
    const host = `${known.record.pageLabel}.localhost:8080`
    device.serve(({ path, headers }) => ({
      headers: { Location: '/next' },
      body: `${String(headers['x-forwarded-port'])} ${String(headers['x-forwarded-prefix'])} ${path}`,
    }))
    const left = await harness.ask({
      path: `/c/${id}/`,
      headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${person.refreshToken}` },
    })
    const entry = new URL(left.headers.location!)
    const entered = await harness.ask({ host, path: entry.pathname + entry.search, headers: NAVIGATE })
    const cookie = entered.headers['set-cookie']![0]!.split(';')[0]!
    const open = (path: string, headers: Ask['headers'] = {}) =>
      harness.ask({ host, path, headers: { ...NAVIGATE, cookie, ...headers } })
    const page = await open('/_wmoc/port/81/a?b')
    assert.deepEqual([page.text, page.headers.location], ['81 /_wmoc/port/81 /a?b', '/_wmoc/port/81/next'])
    assert.equal((await open('/')).text, 'undefined undefined /')
    assert.equal((await open('/_wmoc/port/22/')).status, 404)
    assert.equal((await open('/_wmoc/port/81')).headers.location, '/_wmoc/port/81/')
    assert.equal((await open('/_wmoc/port/81/_wmoc/port/8080/')).status, 404)
    const anonymous = await harness.ask({ host, path: '/_wmoc/port/81/a', headers: NAVIGATE })
    assert.equal(anonymous.headers.location, `http://localhost:8080/c/${id}/_wmoc/port/81/a`)
    const kept = await harness.ask({
      path: `/c/${id}/_wmoc/port/81/a`,
      headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${person.refreshToken}` },
    })
    const again = new URL(kept.headers.location!)
    const landed = await harness.ask({ host, path: again.pathname + again.search, headers: NAVIGATE })
    assert.equal(landed.headers.location, '/_wmoc/port/81/a')
    assert.equal(
      (await open('/_wmoc/port/81/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' })).status,
      403,
    )
  })
})
