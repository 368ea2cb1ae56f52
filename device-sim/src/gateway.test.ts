/** The simulator against the real gateway: what each promises the other, over a real socket, in both dialects. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, suite, test } from 'node:test'
import { WebSocket } from 'ws'
import { startHarness, until, type Harness } from '@wmoc/tunnel-gateway/testing/harness'
import type { Person } from '@wmoc/tunnel-gateway/testing/control-plane-server'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import { createMemoryStore } from './device/store.ts'
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts'
import { createForward } from './upstream/forward.ts'

let harness: Harness
let person: Person
const running: Simulator[] = []
before(async () => {
  harness = await startHarness()
  person = await harness.controlPlane.addPerson()
})
after(() => harness.stop())
afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.stop()))
})

let protocol: 'v1' | 'v2' = 'v1'

function create(options: Partial<SimulatorOptions> = {}): Simulator {
  const url = `ws://127.0.0.1:${harness.port}/tunnel`
  const simulator = createSimulator({ url, protocol, reportEveryMs: 0, random: () => 0, ...options })
  running.push(simulator)
  return simulator
}

async function online(options: Partial<SimulatorOptions> = {}, changes: Partial<ControllerRecord> = {}) {
  const { record, secret } = harness.controlPlane.addController(changes)
  const { controllerId } = record
  harness.controlPlane.grant(person, controllerId)
  const store = createMemoryStore({ current: { controller_id: controllerId, secret }, next: null })
  const simulator = create({ store, ...options })
  simulator.start()
  await once(simulator.events, 'registered')
  return { simulator, controllerId, store }
}

for (const dialect of ['v1', 'v2'] as const) {
  suite(`simulator and gateway over dialect ${dialect}`, () => {
    before(() => {
      protocol = dialect
    })
    promises()
  })
}

function promises(): void {
  test('register with a token, then with the credentials it brought', async () => {
    harness.controlPlane.tokens.add('token-of-this-test')
    const simulator = create({ token: 'token-of-this-test', features: [] })
    simulator.start()
    const [first, issued] = await once(simulator.events, 'registered')
    assert.equal(issued.controller_id, first.controllerId)
    simulator.cut()
    const [second, again] = await once(simulator.events, 'registered')
    assert.deepEqual([second.controllerId, again], [first.controllerId, null])
    assert.ok(second.epoch > first.epoch)
  })

  test('show a code and go on once a person confirmed it', async () => {
    const simulator = create()
    simulator.start()
    const [asked] = await once(simulator.events, 'activationRequired')
    assert.equal(asked.userCode, 'BCDF-GHJK')
    const claim = [...harness.controlPlane.claims.values()].at(-1)
    assert.ok(claim)
    claim.isConfirmed = true
    const [, issued] = await once(simulator.events, 'registered')
    assert.ok(issued.secret)
  })

  test('stay apart for long when the secret is wrong', async () => {
    const { record } = harness.controlPlane.addController()
    const current = { controller_id: record.controllerId, secret: 'a-secret-that-was-never-issued' }
    const simulator = create({ store: createMemoryStore({ current, next: null }), random: () => 0.5 })
    simulator.start()
    const [{ code, retryInMs }] = await once(simulator.events, 'closed')
    assert.equal(code, 4401)
    assert.ok(retryInMs !== null && retryInMs >= 30_000)
  })

  test('rotate: the new secret is stored beside the old, then proven', async () => {
    const { simulator, store } = await online({}, { rotationPending: true })
    assert.ok(store.load()?.next)
    assert.notEqual(store.load()?.next?.secret, store.load()?.current?.secret)
    const next = store.load()?.next
    simulator.cut()
    await until(() => store.load()?.next === null)
    assert.deepEqual(store.load()?.current, next)
  })

  test('pass a page, a large body both ways, HEAD and 304', async () => {
    const { controllerId } = await online()
    const page = await harness.api(person, controllerId)
    assert.equal(page.status, 200)
    assert.match(page.text, /<title>Status/)
    const body = Buffer.alloc(900_000, 'binary \0\xff', 'latin1')
    const echo = await harness.api(person, controllerId, { method: 'POST', path: '/api/echo', body })
    assert.ok(echo.body.equals(body))
    assert.equal((await harness.api(person, controllerId, { path: '/bytes/4000000' })).body.length, 4_000_000)
    const head = await harness.api(person, controllerId, { method: 'HEAD', path: '/style.css' })
    assert.deepEqual([head.status, head.body.length], [200, 0])
    const etag = String(head.headers.etag)
    const cached = await harness.api(person, controllerId, {
      path: '/style.css',
      headers: { 'if-none-match': etag },
    })
    assert.equal(cached.status, 304)
  })

  test('never exceed the number of requests the device can hold', async () => {
    let most = 0
    let now = 0
    const { controllerId } = await online({
      maxStreams: 3,
      handler: async (_, sink) => {
        now += 1
        most = Math.max(most, now)
        await new Promise((resolve) => {
          setTimeout(resolve, 10)
        })
        now -= 1
        await sink.whole(200, {}, Buffer.from('ok'))
      },
    })
    const answers = await Promise.all(Array.from({ length: 15 }, () => harness.api(person, controllerId)))
    assert.ok(answers.every(({ status }) => status === 200))
    assert.equal(most, 3)
  })

  test('cut the transfer of a user when the device behind the agent breaks off', async () => {
    const device = http.createServer((_, response) => {
      response.writeHead(200, { 'content-length': '1000000' })
      response.write(Buffer.alloc(100_000), () => response.destroy())
    })
    device.listen(0, '127.0.0.1')
    await once(device, 'listening')
    const { port } = device.address() as AddressInfo
    const forward = createForward(`http://127.0.0.1:${port}`)
    const { controllerId } = await online({ handler: forward.handler })
    const answer = await harness.api(person, controllerId)
    assert.equal(answer.isCut, true)
    assert.ok(answer.body.length < 1_000_000)
    forward.close()
    device.closeAllConnections()
    device.close()
  })

  test('T13: free the device when the user goes away', async () => {
    const begun = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    const { controllerId } = await online({
      maxStreams: 1,
      handler: async ({ path, signal }, sink) => {
        if (path === '/quick') return sink.whole(200, {}, Buffer.from('quick'))
        await sink.begin(200, {})
        await sink.write(Buffer.from('begun'))
        begun.resolve()
        await once(signal, 'abort')
        left.resolve()
      },
    })
    const request = http.get({
      host: '127.0.0.1',
      port: harness.port,
      path: `/c/${controllerId}/endless`,
      headers: { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` },
    })
    request.on('error', () => undefined)
    await begun.promise
    request.destroy()
    await left.promise
    assert.equal((await harness.api(person, controllerId, { path: '/quick' })).text, 'quick')
  })

  test('tell events and pass a WebSocket where the dialect can, and say so where it can not', async () => {
    const { simulator, controllerId } = await online()
    const headers = { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` }
    const events = http.get({
      host: '127.0.0.1',
      port: harness.port,
      headers,
      path: `/c/${controllerId}/api/events`,
    })
    const [response] = (await once(events, 'response')) as [http.IncomingMessage]
    const isLive = simulator.dialect === 'v2'
    assert.equal(response.statusCode, isLive ? 200 : 501)
    let text = ''
    for await (const piece of response) {
      text += String(piece)
      if (text.includes('data:')) break
    }
    assert.equal(text.includes('"temperature"'), isLive)
    events.destroy()
    const socket = new WebSocket(`ws://127.0.0.1:${harness.port}/c/${controllerId}/ws/echo`, { headers })
    if (!isLive) {
      const [{ message }] = await once(socket, 'error')
      assert.match(message, /Unexpected server response: [45]\d\d/)
      return
    }
    await once(socket, 'open')
    socket.send('hello')
    const [echo] = await once(socket, 'message')
    assert.equal(String(echo), 'hello')
    socket.close(4_000, 'enough')
    const [code] = await once(socket, 'close')
    assert.equal(code, 4_000)
    await until(() => simulator.inFlight === 0)
  })

  test('store each batch, acknowledge it, and nothing waits', async () => {
    const { simulator, controllerId } = await online()
    simulator.report({ temperature: 21.5 })
    simulator.log('warn', 'low heap')
    await until(() => simulator.unacknowledged === 0)
    const batches = harness.controlPlane.ingested.filter((batch) => batch.controllerId === controllerId)
    assert.deepEqual(
      batches.map(({ kind }) => kind),
      ['log', 'metrics', 'log'],
    )
    assert.equal(new Set(batches.map(({ kind, stream, seq }) => `${kind} ${stream} ${seq}`)).size, 3)
  })

  test('lose no batch while the control plane is away', async () => {
    const { simulator, controllerId } = await online()
    await until(() => simulator.unacknowledged === 0)
    harness.controlPlane.state.isAway = true
    for (const value of [1, 2, 3]) simulator.report({ value })
    simulator.cut()
    harness.controlPlane.state.isAway = false
    await until(() => simulator.unacknowledged === 0, 20_000)
    const values = harness.controlPlane.ingested
      .filter((batch) => batch.controllerId === controllerId)
      .flatMap(({ items }) => items.flatMap((item) => ('value' in item ? [item.value] : [])))
    assert.deepEqual(new Set(values), new Set([1, 2, 3]))
  })

  test('do a queued command once however often it is delivered', async () => {
    const { simulator, controllerId } = await online()
    const done: boolean[] = []
    simulator.events.on('command', ({ repeated }) => done.push(repeated))
    const id = randomUUID()
    harness.controlPlane.queued.push({
      controllerId,
      id,
      name: 'switch.set',
      params: { on: true },
      expiresAt: Date.now() + 60_000,
    })
    simulator.cut()
    await until(() => done.length > 0)
    simulator.cut()
    await until(() => done.length > 1)
    harness.controlPlane.queued.length = 0
    assert.deepEqual(done.slice(0, 2), [false, true])
    await until(() => harness.controlPlane.results.some((result) => result.id === id && result.ok))
  })

  test('keep apart what one device does wrong from the answers of another', async () => {
    const faults = ['frozen', 'lying-lengths', 'silent', 'slow-line'] as const
    const wrong = await Promise.all(faults.map((fault) => online({ faults: [fault], features: [] })))
    const { controllerId } = await online()
    const answers = wrong.map(({ controllerId: id }) => harness.api(person, id).catch(() => null))
    const others = await Promise.all(Array.from({ length: 20 }, () => harness.api(person, controllerId)))
    assert.ok(others.every(({ status }) => status === 200))
    assert.equal((await answers[3])?.status, 200)
    const lying = await answers[1]
    assert.ok(lying === null || lying?.isCut || lying?.status === 502 || lying?.text.endsWith('</html>\n'))
    for (const { simulator } of wrong) simulator.cut()
    assert.equal((await answers[0])?.isCut, true)
    assert.equal((await answers[2])?.status, 502)
  })

  test('part when the device talks nonsense, and it means to come back', async () => {
    const { simulator } = await online({ faults: ['wrong-frames'], reportEveryMs: 5, random: Math.random })
    const [{ code, retryInMs }] = await once(simulator.events, 'closed')
    assert.ok([1007, 1008, 4400].includes(code), String(code))
    assert.notEqual(retryInMs, null)
  })
}
