import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, afterEach, before, suite, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createMemoryStore, type DeviceState } from './device/store.ts'
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts'
import {
  answerTo,
  CONTROLLER_ID,
  SECRET,
  startServerSide,
  type Peer,
  type ServerSide,
} from './testing/server-side.ts'

const CREDENTIALS = { controller_id: CONTROLLER_ID, secret: SECRET }
const KNOWN: DeviceState = { mac: '02:00:00:00:00:01', current: CREDENTIALS, next: null }

let server: ServerSide
const running: Simulator[] = []
before(async () => {
  server = await startServerSide()
})
after(() => server.stop())
afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.stop()))
})

function start(options: Partial<SimulatorOptions> = {}): Simulator {
  // Nothing but chance lies between a loss and the next try; the tests need not wait for it.
  const simulator = createSimulator({ url: server.url, reportEveryMs: 0, random: () => 0, ...options })
  running.push(simulator)
  simulator.start()
  return simulator
}

async function online(
  options: Partial<SimulatorOptions> = {},
): Promise<{ simulator: Simulator; peer: Peer }> {
  const simulator = start({ store: createMemoryStore(KNOWN), ...options })
  const peer = await server.accept()
  await peer.next('register')
  peer.register()
  await once(simulator.events, 'registered')
  return { simulator, peer }
}

async function featuresOf(peer: Peer): Promise<unknown> {
  return (await peer.next('register')).credentials?.features
}

function ask(peer: Peer, id: string, path = '/', method = 'GET'): void {
  peer.send({ type: 'http_request', id, method, path, headers: {}, body: '' })
}

suite('a simulated controller', () => {
  test('asks to be claimed, shows the code and keeps what it is issued', async () => {
    const store = createMemoryStore()
    const simulator = start({ store })
    const peer = await server.accept()
    const { token, credentials } = await peer.next('register')
    assert.equal(token, undefined)
    assert.equal(credentials?.secret, undefined)
    assert.match(credentials?.mac ?? '', /^[0-9A-F][26AE](:[0-9A-F]{2}){5}$/)
    const shown = once(simulator.events, 'activationRequired')
    peer.send({
      type: 'activation_required',
      userCode: 'BCDF-GHJK',
      verificationUri: 'http://localhost/activate',
      verificationUriComplete: 'http://localhost/activate?code=BCDF-GHJK',
      expiresIn: 900,
    })
    assert.equal((await shown)[0].userCode, 'BCDF-GHJK')
    assert.deepEqual(store.load(), { mac: credentials?.mac, current: null, next: null })
    peer.register(CREDENTIALS)
    await once(simulator.events, 'registered')
    assert.deepEqual(store.load()?.current, CREDENTIALS)
    assert.equal(simulator.controllerId, CONTROLLER_ID)
    simulator.cut()
    const again = await server.accept()
    const second = await again.next('register')
    assert.deepEqual(
      [second.credentials?.secret, second.credentials?.mac, second.credentials?.boot_id],
      [SECRET, credentials?.mac, credentials?.boot_id],
    )
  })

  test('serves its page, also a large one in pieces', async () => {
    const { peer } = await online()
    ask(peer, 'a')
    const page = await answerTo(peer, 'a')
    assert.equal(page.head.status, 200)
    assert.match(page.body.toString(), /<title>Status/)
    ask(peer, 'b', '/bytes/300000')
    assert.equal((await answerTo(peer, 'b')).body.length, 300_000)
    assert.deepEqual(peer.refused, [])
  })

  test('answers a body that is not what was announced with 400', async () => {
    const { peer } = await online()
    peer.send({
      type: 'http_request',
      id: 'a',
      method: 'POST',
      path: '/',
      headers: {},
      body: '!',
      bodyEncoding: 'base64',
    })
    assert.equal((await answerTo(peer, 'a')).head.status, 400)
  })

  test('answers 503 above the number of requests it announced', async () => {
    const { peer } = await online({ maxStreams: 2, handler: () => new Promise(() => undefined) })
    for (const id of ['a', 'b', 'c']) ask(peer, id)
    const answer = await peer.next('http_response')
    assert.deepEqual([answer.id, answer.status], ['c', 503])
  })

  test('T13: stops and frees the slot when the user goes away', async () => {
    const aborted = Promise.withResolvers<void>()
    const { peer } = await online({
      maxStreams: 1,
      handler: async ({ path, signal }, sink) => {
        if (path === '/next') return sink.whole(204, {})
        signal.addEventListener('abort', () => aborted.resolve())
        await sink.begin(200, {})
        await once(signal, 'abort')
        await sink.write(Buffer.from('too late'))
        await sink.end()
      },
    })
    ask(peer, 'a')
    await peer.next('http_response')
    peer.send({ type: 'http_cancel', id: 'a' })
    await aborted.promise
    const last = await peer.next('http_response_chunk')
    assert.deepEqual([last.id, last.more, last.error], ['a', false, 'cancelled'])
    ask(peer, 'b', '/next')
    assert.equal((await answerTo(peer, 'b')).head.status, 204)
    assert.equal(peer.received.filter((message) => 'id' in message && message.id === 'a').length, 2)
  })

  test('says so when a response breaks off, and 502 when it never began', async () => {
    const { peer, simulator } = await online({
      handler: async ({ path }, sink) => {
        if (path === '/late') await sink.begin(200, {})
        throw new Error('handler broke')
      },
    })
    simulator.events.on('fault', () => undefined)
    ask(peer, 'a', '/late')
    assert.equal((await answerTo(peer, 'a')).error, 'internal error')
    ask(peer, 'b', '/early')
    assert.equal((await answerTo(peer, 'b')).head.status, 502)
  })

  test('sends what was not acknowledged again after a reconnect', async () => {
    const { peer, simulator } = await online()
    simulator.report({ temperature: 20 })
    simulator.report({ temperature: 21 })
    const first = await peer.next('metrics')
    await peer.next('metrics')
    const booted = await peer.next('log')
    const acknowledged = once(simulator.events, 'acknowledged')
    peer.send({ type: 'ack', seq: first.seq ?? -1 })
    await acknowledged
    peer.send({ type: 'ack', seq: booted.seq ?? -1 })
    simulator.cut()
    const again = await server.accept()
    await again.next('register')
    again.register()
    const resent = await again.next('metrics')
    assert.deepEqual([resent.items[0]?.value, simulator.unacknowledged > 0], [21, true])
  })

  test('does a command once and answers its repeat, also after a reconnect', async () => {
    const { peer, simulator } = await online()
    const command = {
      type: 'command' as const,
      id: 'c1',
      name: 'switch.set',
      params: { on: true },
      expiresAt: Date.now() + 60_000,
    }
    peer.send(command)
    assert.deepEqual((await peer.next('command_result')).result, { on: true })
    assert.equal(simulator.page?.isOn, true)
    if (simulator.page) simulator.page.isOn = false
    simulator.cut()
    const again = await server.accept()
    await again.next('register')
    again.register()
    again.send(command)
    assert.deepEqual((await again.next('command_result')).result, { on: true })
    assert.equal(simulator.page?.isOn, false)
  })

  test('answers a reboot and comes back with another boot id', async () => {
    const simulator = start({ store: createMemoryStore(KNOWN) })
    const peer = await server.accept()
    const { credentials } = await peer.next('register')
    peer.register()
    peer.send({ type: 'command', id: 'r', name: 'reboot', params: {}, expiresAt: Date.now() + 60_000 })
    assert.equal((await peer.next('command_result')).ok, true)
    const again = await server.accept()
    assert.notEqual((await again.next('register')).credentials?.boot_id, credentials?.boot_id)
    assert.equal(simulator.isOnline, false)
  })

  test('leaves at the time a goaway names, once its answers are out, and comes back', async () => {
    const ending = Promise.withResolvers<void>()
    const { peer } = await online({
      features: [],
      handler: async (_, sink) => {
        await ending.promise
        await sink.whole(204, {})
      },
    })
    ask(peer, 'a')
    peer.send({ type: 'goaway', reason: 'draining', reconnectAfterMs: 5 })
    setTimeout(() => ending.resolve(), 50)
    assert.equal((await peer.next('http_response', 'a')).status, 204)
    assert.equal(await peer.closed, 1000)
    const again = await server.accept()
    assert.equal((await again.next('register')).credentials?.secret, SECRET)
  })

  test('opens its new tunnel before it leaves the old one, and finishes there what was begun', async () => {
    const { peer, simulator } = await online({ features: ['overlap', 'follow'] })
    ask(peer, 'a', '/api/drip?bytes=20&ms=10')
    await peer.next('http_response')
    peer.send({ type: 'goaway', reason: 'draining', reconnectAfterMs: 5, shard: 'b&c' })
    const next = await server.accept()
    assert.deepEqual(await featuresOf(next), ['overlap', 'follow'])
    assert.equal(next.query, '?shard=b%26c')
    next.register()
    await once(simulator.events, 'registered')
    const last = peer.received.find((message) => message.type === 'http_response_chunk' && !message.more)
    assert.equal(last, undefined)
    while ((await peer.next('http_response_chunk', 'a')).more);
    ask(next, 'b', '/about')
    assert.equal((await answerTo(next, 'b')).head.status, 200)
    const left = once(simulator.events, 'left')
    peer.socket.close(1012, 'service_restart')
    assert.equal((await left)[0].code, 1012)
    assert.equal(simulator.isOnline, true)
  })

  test('follows once, and goes anywhere when that fails', async () => {
    const { peer } = await online({ features: ['overlap', 'follow'] })
    peer.send({ type: 'goaway', reason: 'draining', reconnectAfterMs: 5, shard: 'gone' })
    const first = await server.accept()
    assert.equal(first.query, '?shard=gone')
    first.socket.terminate()
    assert.equal((await server.accept()).query, '')
  })

  test('stops for good when it is revoked', async () => {
    const { peer, simulator } = await online()
    const stopped = once(simulator.events, 'stopped')
    peer.socket.close(4403, 'revoked')
    assert.deepEqual(await stopped, ['revoked'])
    assert.equal(simulator.isOnline, false)
  })

  test('survives a gateway that talks nonsense', async () => {
    const { peer, simulator } = await online()
    const faults: string[] = []
    simulator.events.on('fault', ({ message }) => faults.push(message))
    for (const text of ['', '{', '{"type":"dance"}', '['.repeat(10_000), '{"type":"http_request","id":1}'])
      peer.socket.send(text)
    ask(peer, 'a', '/about')
    assert.equal((await answerTo(peer, 'a')).head.status, 200)
    assert.equal(faults.length, 5)
  })

  test('closes with 1000 and says nothing more after stop', async () => {
    const { peer, simulator } = await online()
    const later: string[] = []
    const { connections } = server
    await simulator.stop()
    simulator.events.on('closed', () => later.push('closed'))
    simulator.log('info', 'too late')
    assert.equal(await peer.closed, 1000)
    await setImmediate()
    assert.deepEqual([later, server.connections - connections], [[], 0])
  })

  test('offers no compression and takes the dialect of an old gateway', async () => {
    const { peer, simulator } = await online()
    assert.equal(peer.socket.extensions, '')
    assert.deepEqual([peer.socket.protocol, simulator.dialect], ['wmoc.v1', 'v1'])
  })

  test('keeps within what a profile can hold', async () => {
    start({ profile: 'esp32' })
    const { credentials } = await (await server.accept()).next('register')
    assert.deepEqual(
      [credentials?.max_streams, credentials?.max_req_header, credentials?.features],
      [4, 512, undefined],
    )
  })
})
