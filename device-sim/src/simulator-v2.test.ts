/** What a simulated controller does over dialect v2, against the stream machine of a gateway. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, afterEach, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { HeaderList } from '@wmoc/protocol/v2/mux'
import { until } from '@wmoc/testkit/until'
import { createMemoryStore, type DeviceState } from './device/store.ts'
import { contentAt } from './page/content.ts'
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts'
import { CONTROLLER_ID, SECRET } from './testing/server-side.ts'
import { SESSION, startV2Side, type V2Peer, type V2Side } from './testing/v2-side.ts'

const KNOWN: DeviceState = {
  mac: '02:00:00:00:00:01',
  current: { controller_id: CONTROLLER_ID, secret: SECRET },
  next: null,
}

let side: V2Side
const running: Simulator[] = []
before(async () => {
  side = await startV2Side()
})
after(() => side.stop())
afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.stop()))
})

function start(options: Partial<SimulatorOptions> = {}): Simulator {
  const simulator = createSimulator({
    url: side.url,
    store: createMemoryStore(KNOWN),
    reportEveryMs: 0,
    random: () => 0,
    ...options,
  })
  running.push(simulator)
  simulator.start()
  return simulator
}

async function online(options: Partial<SimulatorOptions> = {}) {
  const simulator = start(options)
  const peer = await side.accept()
  peer.welcome()
  await once(simulator.events, 'registered')
  return { simulator, peer }
}

function valueOf(headers: HeaderList, name: string): string | undefined {
  const at = headers.findIndex((field, index) => index % 2 === 0 && field === name)
  return at < 0 ? undefined : headers[at + 1]
}

function sound(peer: V2Peer): void {
  assert.deepEqual([peer.faults, peer.mux.invariants()], [[], []])
}

suite('a simulated controller over dialect v2', () => {
  test('says what it can hold, by its profile', async () => {
    const { peer } = await online({ profile: 'esp32' })
    const { max_chunk, max_message, rx_window, credentials } = peer.hello
    assert.deepEqual([max_chunk, max_message, rx_window], [1_024, 4_096, 4_096])
    assert.deepEqual(
      [credentials?.max_streams, credentials?.max_req_header, credentials?.features],
      [4, 512, undefined],
    )
  })

  test('is claimed, rotates and reports as over the other dialect', async () => {
    const store = createMemoryStore()
    const simulator = start({ store })
    const peer = await side.accept()
    assert.equal(peer.hello.credentials?.secret, undefined)
    const shown = once(simulator.events, 'activationRequired')
    peer.say({
      type: 'activation_required',
      userCode: 'BCDF-GHJK',
      verificationUri: 'http://localhost/activate',
      verificationUriComplete: 'http://localhost/activate?code=BCDF-GHJK',
      expiresIn: 900,
    })
    assert.equal((await shown)[0].userCode, 'BCDF-GHJK')
    peer.welcome({ extra: { credentials: { controller_id: CONTROLLER_ID, secret: SECRET } } })
    await once(simulator.events, 'registered')
    assert.equal(store.load()?.current?.secret, SECRET)
    simulator.report({ temperature: 20 })
    const { seq = -1 } = await peer.next('metrics')
    const acknowledged = once(simulator.events, 'acknowledged')
    peer.say({ type: 'ack', seq })
    assert.deepEqual(await acknowledged, [seq])
    const expiresAt = Date.now() + 60_000
    peer.say({ type: 'command', id: 'c1', name: 'switch.set', params: { on: true }, expiresAt })
    assert.deepEqual((await peer.next('command_result')).result, { on: true })
    sound(peer)
  })

  test('T11: sends no more of a big download than was asked for', async () => {
    const { peer } = await online()
    let received = 0
    const stream = peer.open('/api/download?bytes=10000000', { data: (bytes) => (received += bytes.length) })
    await until(() => received === 65_536)
    await sleep(50)
    assert.equal(received, 65_536)
    stream.consumed(65_536)
    await until(() => received === 131_072)
    stream.reset(RESET.cancelled)
    await until(() => peer.mux.size === 0)
    sound(peer)
  })

  test('T12: answers small requests while a big download runs', async () => {
    const { peer } = await online()
    const big = peer.ask('/api/download?bytes=20000000')
    const isFirst = await Promise.race([peer.ask('/about').then(() => true), big.then(() => false)])
    assert.equal(isFirst, true)
    const { body } = await big
    assert.ok(body.equals(Buffer.concat([...contentAt(0, 20_000_000)])))
    sound(peer)
  })

  test('takes a body of any size in constant memory, and one that nobody reads', async () => {
    const { peer } = await online()
    const body = Buffer.concat([...contentAt(0, 3_000_000)])
    const taken = await peer.ask('/api/digest', { method: 'POST', body })
    assert.equal(JSON.parse(taken.body.toString()).bytes, 3_000_000)
    const echoed = await peer.ask('/api/echo', { method: 'POST', body: body.subarray(0, 1_000_000) })
    assert.ok(echoed.body.equals(body.subarray(0, 1_000_000)))
    assert.equal((await peer.ask('/nothing-here', { method: 'POST', body })).status, 404)
    await until(() => peer.mux.size === 0)
    sound(peer)
  })

  test('gives trailers after the body', async () => {
    const { peer } = await online()
    const { trailers } = await peer.ask('/api/trailers')
    assert.match(valueOf(trailers ?? [], 'x-digest') ?? '', /^sha-256=/)
  })

  test('tells events as they happen and stops within 100 ms after the user has left', async () => {
    const left = Promise.withResolvers<number>()
    const { peer } = await online({
      handler: async ({ signal }, sink) => {
        await sink.begin(200, { 'content-type': 'text/event-stream' })
        await sink.write(Buffer.from('data: 1\n\n'))
        await once(signal, 'abort')
        left.resolve(performance.now())
      },
    })
    const first = Promise.withResolvers<string>()
    const stream = peer.open('/events', { data: (bytes) => first.resolve(Buffer.from(bytes).toString()) })
    assert.equal(await first.promise, 'data: 1\n\n')
    const leftAtMs = performance.now()
    stream.reset(RESET.cancelled)
    const tookMs = (await left.promise) - leftAtMs
    assert.ok(tookMs < 1_000, `${tookMs} ms`)
    await until(() => peer.mux.size === 0)
  })

  test('T13: cuts an answer that breaks off, and answers 502 where none had begun', async () => {
    const { peer, simulator } = await online({
      handler: async ({ path }, sink) => {
        if (path === '/late') await sink.begin(200, {})
        throw new Error('handler broke')
      },
    })
    simulator.events.on('fault', () => undefined)
    assert.equal((await peer.ask('/late')).reset, RESET.interrupted)
    assert.equal((await peer.ask('/early')).status, 502)
    sound(peer)
  })

  test('passes messages of a WebSocket both ways and closes it in order', async () => {
    const { peer } = await online()
    const heard: string[] = []
    const closed = Promise.withResolvers<number>()
    const accepted = Promise.withResolvers<HeaderList>()
    const stream = peer.open(
      '/ws/echo',
      {
        head: ({ status, headers }) => (status === 101 ? accepted.resolve(headers) : accepted.reject(status)),
        message(bytes, isBinary) {
          heard.push(`${isBinary ? 'binary' : 'text'} ${Buffer.from(bytes).toString()}`)
          stream.consumed(bytes.length)
        },
        closed: (code) => closed.resolve(code),
      },
      { kind: 'websocket', headers: ['sec-websocket-protocol', 'chat, other'] },
    )
    assert.equal(valueOf(await accepted.promise, 'sec-websocket-protocol'), 'chat')
    stream.message(Buffer.from('hello'), false)
    stream.message(Buffer.from([1, 2, 3]), true)
    await until(() => heard.length === 2)
    assert.deepEqual(heard, ['text hello', 'binary \u0001\u0002\u0003'])
    stream.close(4_000, 'enough')
    assert.equal(await closed.promise, 4_000)
    await until(() => peer.mux.size === 0)
    const refused = Promise.withResolvers<number>()
    peer.open('/ws/none', { head: ({ status }) => refused.resolve(status) }, { kind: 'websocket' })
    assert.equal(await refused.promise, 404)
    sound(peer)
  })

  test('goes on with its streams after a loss, not a byte lost or twice', async () => {
    const simulator = start()
    const peer = await side.accept()
    peer.welcome({ extra: { shard: 'here' } })
    await once(simulator.events, 'registered')
    const answer = peer.ask('/api/download?bytes=3000000')
    const upload = peer.ask('/api/digest', { method: 'POST', body: Buffer.alloc(2_000_000, 'x') })
    await sleep(5)
    for (let lost = peer, round = 0; round < 3; round += 1) {
      lost.mux.suspend()
      simulator.cut()
      const next = await side.accept()
      assert.equal(next.hello.resume?.session, SESSION)
      assert.equal(side.queries.at(-1), '?shard=here')
      next.welcome({ resumed: lost })
      lost = next
      await sleep(5)
    }
    const { body } = await answer
    assert.ok(body.equals(Buffer.concat([...contentAt(0, 3_000_000)])))
    assert.equal(JSON.parse((await upload).body.toString()).bytes, 2_000_000)
  })

  test('lets go of its streams when the gateway knows nothing of them any more', async () => {
    const aborted = Promise.withResolvers<void>()
    const { peer, simulator } = await online({
      handler: async ({ signal, path }, sink) => {
        if (path === '/now') return sink.whole(204, {})
        signal.addEventListener('abort', () => aborted.resolve())
        await once(signal, 'abort')
      },
    })
    void peer.ask('/endless')
    await until(() => simulator.inFlight === 1)
    simulator.cut()
    const next = await side.accept()
    next.welcome()
    await aborted.promise
    assert.equal((await next.ask('/now')).status, 204)
  })

  test('leaves one tunnel for another without losing what was begun', async () => {
    const { peer, simulator } = await online()
    const answer = peer.ask('/api/drip?bytes=30&ms=10')
    peer.say({ type: 'goaway', reason: 'draining', reconnectAfterMs: 5, shard: 'shard-2' })
    const next = await side.accept()
    assert.equal(side.queries.at(-1), '?shard=shard-2')
    assert.equal(next.hello.resume, undefined)
    next.welcome()
    await once(simulator.events, 'registered')
    assert.equal((await next.ask('/about')).status, 200)
    assert.equal((await answer).body.length, 30)
    const left = once(simulator.events, 'left')
    peer.socket.close(1012, 'service_restart')
    await left
    assert.equal(simulator.isOnline, true)
  })

  test('makes a new connection when the gateway breaks the protocol', async () => {
    for (const wrong of ['text', Buffer.from('ff00000000000000', 'hex'), Buffer.from('0500', 'hex')]) {
      const { peer, simulator } = await online()
      const fault = once(simulator.events, 'fault')
      peer.socket.send(wrong)
      assert.match((await fault)[0].message, /bad frame/)
      const next = await side.accept()
      next.welcome()
      await once(simulator.events, 'registered')
      assert.equal((await next.ask('/about')).status, 200)
      await simulator.stop()
    }
  })

  test('neither reads nor writes when its line is half-open, and carries little when it is slow', async () => {
    const { peer, simulator } = await online({
      handler: (_, sink) => sink.whole(200, {}, Buffer.alloc(2_000)),
    })
    simulator.slowDown(20_000)
    const startedAtMs = performance.now()
    await peer.ask('/')
    await peer.ask('/')
    await peer.ask('/')
    assert.ok(performance.now() - startedAtMs > 100)
    simulator.freeze()
    let answers = 0
    void peer.ask('/').then(() => (answers += 1))
    await sleep(300)
    assert.deepEqual([answers, peer.socket.readyState], [0, peer.socket.OPEN])
  })
})
