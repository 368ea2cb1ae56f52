import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import { until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { RawDeviceV2 } from '#src/testing/raw-device-v2.ts'
import { announceTo, askFor, IN_FRAME, openAsGuest, openFrame, served } from './testing/frames.ts'
import type { Served } from './testing/frames.ts'

const ask = (harness: Harness, { src }: { src: string }, path = '') =>
  harness.ask({ path: src + path, headers: IN_FRAME })

const TOP = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
}

/** Nothing is asked again by itself: what a test changes at the control plane is known by the published word or not at all. */
const ONLY_TOLD = { ACCESS_FRESH_MS: '3600000', ACCESS_SWEEP_MS: '3600000' }

/** A page as its browser has it: where it is, and what the browser sends with each request. */
interface Seen {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

const inTime = () => ({ signal: AbortSignal.timeout(60_000) })

/** A device that answers, leaves `slow` open, sends events at `events` and talks at `ws`. */
async function talkative(harness: Harness, { known }: Served): Promise<RawDeviceV2> {
  const agent = await onlineV2(harness.port, known, { rx_window: 65_536, rx_budget: 1_048_576 })
  agent.serve((asked) => {
    const { path } = asked.request
    if (asked.kind === 'websocket') asked.stream.respond({ status: 101, headers: [] }, false)
    else if (path === '/events') {
      asked.stream.respond({ status: 200, headers: ['content-type', 'text/event-stream'] }, false)
      asked.stream.write(Buffer.from('data: 1\n\n'))
    } else if (path !== '/slow') answer(asked, 'ok')
  })
  return agent
}

/** What a page has under way at `shard`: a WebSocket, events that have begun, and a request without an answer. */
async function underWay({ port }: Harness, agent: RawDeviceV2, { path, headers }: Seen) {
  const origin = headers.cookie === undefined ? 'null' : `http://${headers.host}`
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}ws`, { origin, headers: { ...headers } })
  await once(socket, 'open')
  const closed = once(socket, 'close', inTime()) as Promise<[number]>
  const open = (name: string) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      path: path + name,
      headers: { ...headers },
      agent: false,
    })
    request.end()
    return once(request, 'response', inTime()) as Promise<[IncomingMessage]>
  }
  const [events] = await open('events')
  assert.equal(events.statusCode, 200)
  await once(events, 'data')
  const cut = new Promise<void>((resolve) => void events.once('close', resolve))
  events.on('error', () => undefined).resume()
  const pending = open('slow')
  await until(() => agent.asked.some(({ request }) => request.path === '/slow'))
  return async () => {
    const [slow] = await pending
    slow.resume()
    assert.equal(slow.statusCode, 404)
    assert.equal((await closed)[0], 1008)
    await cut
  }
}

suite('a page in a frame ends on every shard, by the word alone', () => {
  let cluster: Cluster
  /** Where the shell asks and the device is, … */
  let here: Harness
  /** … and where the page's requests arrive. */
  let there: Harness
  before(async () => {
    cluster = await startCluster(2, { DEVICE_DOMAIN: '', ...ONLY_TOLD })
    ;[here, there] = cluster.shards as [Harness, Harness]
  })
  after(() => cluster.stop())

  async function endsBy(
    end: (given: Served, capability: string) => Promise<unknown>,
    link: boolean,
  ): Promise<void> {
    const given = await served(here)
    const { token } = cluster.controlPlane.addLink(given.known, 'use')
    const opened = link
      ? (JSON.parse((await openAsGuest(here, given.id, token)).text) as { src: string; capability: string })
      : await openFrame(here, given.id, given.person)
    const agent = await talkative(here, given)
    for (const shard of [here, there]) assert.equal((await ask(shard, opened)).status, 200)
    const hasEnded = await underWay(there, agent, {
      path: opened.src,
      headers: { ...IN_FRAME, host: 'localhost:8080' },
    })
    await end(given, opened.capability)
    await hasEnded()
    for (const shard of [here, there])
      await until(async () => [401, 404].includes((await ask(shard, opened)).status))
    agent.stop()
  }

  test('U7: with the sign-in session', () =>
    endsBy(async ({ person }) => {
      cluster.controlPlane.sessions.delete(person.sessionId)
      await announceTo(here, { type: 'session_ended', sessionIds: [person.sessionId] })
    }, false))

  test('U7: with the person’s access', () =>
    endsBy(async ({ person, id }) => {
      cluster.controlPlane.roles.delete(`${person.userId} ${id}`)
      await announceTo(here, { type: 'access_changed', userId: person.userId, controllerId: id })
    }, false))

  test('with the controller’s access epoch', () =>
    endsBy(async ({ known, id }) => {
      cluster.controlPlane.controllers.set(id, { ...known.record, accessEpoch: 2 })
      await announceTo(here, { type: 'controller_changed', controllerId: id })
    }, false))

  test('with the controller itself', () =>
    endsBy(async ({ id }) => {
      cluster.controlPlane.controllers.delete(id)
      await announceTo(here, { type: 'revoked', controllerId: id })
    }, false))

  test('with the link of a guest', () =>
    endsBy(async ({ id }) => {
      const ended = [...cluster.controlPlane.links].find(([, { controllerId }]) => controllerId === id)!
      cluster.controlPlane.links.delete(ended[0])
      await announceTo(here, { type: 'page_link_ended', linkIds: [ended[1].id] })
    }, true))

  test('when the shell closes it, for a person and for a guest', async () => {
    await endsBy(async ({ id, person }, capability) => {
      assert.equal((await askFor(here, 'revoke', { id, person, capability })).status, 204)
      assert.equal((await askFor(there, 'renew', { id, person, capability })).status, 401)
    }, false)
    await endsBy(async ({ id }, capability) => {
      assert.equal((await askFor(here, 'revoke', { id, person: null, capability })).status, 204)
    }, true)
  })

  test('nobody closes or renews somebody else’s page', async () => {
    const { id, person, device } = await served(here)
    device.serve(() => ({}))
    const { capability, src } = await openFrame(here, id, person)
    const stranger = await cluster.controlPlane.addPerson()
    for (const what of ['renew', 'revoke'] as const) {
      assert.equal((await askFor(here, what, { id, person: stranger, capability })).status, 404)
      assert.equal((await askFor(here, what, { id, person: null, capability })).status, 401)
      assert.equal((await askFor(here, what, { id, person, capability: 'unknown' })).status, 404)
    }
    assert.equal((await ask(there, { src })).status, 200)
  })
})

suite('a page with an origin of its own ends on every shard, by the word alone', () => {
  let cluster: Cluster
  let here: Harness
  let there: Harness
  before(async () => {
    cluster = await startCluster(2, ONLY_TOLD)
    ;[here, there] = cluster.shards as [Harness, Harness]
  })
  after(() => cluster.stop())

  const SAME = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'same-origin' }

  async function endsBy(end: (given: Served) => Promise<unknown>): Promise<void> {
    const given = await served(here)
    const agent = await talkative(here, given)
    const host = `${given.known.record.pageLabel}.localhost:8080`
    const left = await here.ask({
      path: `/c/${given.id}/`,
      headers: { ...TOP, cookie: `__Host-wmoc_refresh=${given.person.refreshToken}` },
    })
    const entry = new URL(left.headers.location!)
    const entered = await here.ask({ host, path: entry.pathname + entry.search, headers: TOP })
    const cookie = entered.headers['set-cookie']![0]!.split(';')[0]!
    const headers = { ...SAME, host, cookie }
    const next = async (shard: Harness) => (await shard.ask({ host, path: '/', headers })).status
    for (const shard of [here, there]) assert.equal(await next(shard), 200)
    const hasEnded = await underWay(there, agent, { path: '/', headers })
    await end(given)
    await hasEnded()
    for (const shard of [here, there]) await until(async () => [401, 404, 421].includes(await next(shard)))
    agent.stop()
  }

  test('U7: with the sign-in session', () =>
    endsBy(async ({ person }) => {
      cluster.controlPlane.sessions.delete(person.sessionId)
      await announceTo(here, { type: 'session_ended', sessionIds: [person.sessionId] })
    }))

  test('U7: with the person’s access', () =>
    endsBy(async ({ person, id }) => {
      cluster.controlPlane.roles.delete(`${person.userId} ${id}`)
      await announceTo(here, { type: 'access_changed', userId: person.userId, controllerId: id })
    }))

  test('with the controller itself', () =>
    endsBy(async ({ id }) => {
      cluster.controlPlane.controllers.delete(id)
      await announceTo(here, { type: 'revoked', controllerId: id })
    }))
})

suite('a page in a frame that grows old', () => {
  const TTL_MS = 3_000
  let cluster: Cluster
  let here: Harness
  let there: Harness
  before(async () => {
    cluster = await startCluster(2, {
      DEVICE_DOMAIN: '',
      PAGE_TTL_MS: String(TTL_MS),
      PAGE_MAX_AGE_MS: String(3 * TTL_MS),
    })
    ;[here, there] = cluster.shards as [Harness, Harness]
  })
  after(() => cluster.stop())

  test('ends by itself, with what it has under way', async () => {
    const { known, id, person } = await served(here)
    const opened = await openFrame(here, id, person)
    const agent = await onlineV2(here.port, known, { rx_window: 65_536, rx_budget: 1_048_576 })
    const pending = ask(there, opened, 'slow')
    await agent.nextRequest()
    assert.equal((await pending).status, 404)
    assert.ok(Date.now() >= opened.expiresAt)
    const late = await ask(there, opened)
    assert.deepEqual([late.status, late.headers['access-control-allow-origin']], [401, 'null'])
    assert.equal((await askFor(here, 'renew', { id, person, capability: opened.capability })).status, 401)
    agent.stop()
  })

  test('goes on without a reload while the shell renews it, up to its greatest age', async () => {
    const { id, person, device } = await served(here)
    device.serve(() => ({}))
    const opened = await openFrame(here, id, person)
    assert.equal((await ask(there, opened)).status, 200)
    let expiresAt = opened.expiresAt
    let hasOutlived = false
    for (;;) {
      const renewed = await askFor(here, 'renew', { id, person, capability: opened.capability })
      if (renewed.status === 401) break
      const times = JSON.parse(renewed.text) as { expiresAt: number; renewAfterMs: number }
      assert.equal(times.renewAfterMs, TTL_MS / 3)
      assert.ok(times.expiresAt >= expiresAt)
      expiresAt = times.expiresAt
      const sentAt = Date.now()
      const { status } = await ask(there, opened)
      // Only what was asked in good time has to be answered.
      if (Date.now() < expiresAt) {
        assert.equal(status, 200)
        if (sentAt > opened.expiresAt) hasOutlived = true
      }
      await sleep(200)
    }
    assert.ok(hasOutlived)
    assert.ok(Date.now() >= expiresAt && expiresAt > opened.expiresAt)
    await until(async () => (await ask(there, opened)).status === 401)
  })
})
