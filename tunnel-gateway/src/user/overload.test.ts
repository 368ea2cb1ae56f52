import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { createMetrics } from '@wmoc/platform/metrics'
import { createGatewayMetrics } from '#src/gateway-metrics.ts'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import { createLiveRequests } from './live.ts'
import type { LiveEntry } from './live.ts'
import { createTraffic } from './traffic.ts'
import type { Hop, Outcome } from './traffic.ts'

suite('more than there is room for', () => {
  let harness: Harness
  const sockets: Socket[] = []
  before(async () => {
    harness = await startHarness({ MAX_REQUESTS_PER_USER: '3', MAX_REQUESTS_PER_CONTROLLER: '5' })
  })
  after(async () => {
    for (const socket of sockets) socket.destroy()
    await harness.stop()
  })

  async function served(hello: Parameters<typeof onlineV2>[2] = {}) {
    const known = harness.controlPlane.addController()
    const device = await onlineV2(harness.port, known, { ...hello, credentials: { max_streams: 16 } })
    return { device, known, id: known.record.controllerId }
  }

  async function personFor(...ids: string[]) {
    const person = await harness.controlPlane.addPerson()
    for (const id of ids) harness.controlPlane.grant(person, id)
    return person
  }

  function open(text: string): { socket: Socket; text(): string } {
    const socket = connect(harness.port, '127.0.0.1')
    let seen = ''
    socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.write(text)
    sockets.push(socket)
    return { socket, text: () => seen }
  }

  test('a user has only so much under way; others go on, and so does the user when something ends', async () => {
    const { device, id } = await served()
    const other = await served()
    const busy = await personFor(id, other.id)
    const calm = await personFor(id)
    const asked = [1, 2, 3].map(() => harness.api(busy, id))
    const held = await Promise.all(asked.map(() => device.nextRequest()))
    const refused = await harness.api(busy, other.id)
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], '1')
    const calmly = harness.api(calm, id)
    answer(await device.nextRequest(), 'calm')
    assert.equal((await calmly).text, 'calm')
    answer(held[0]!, 'first')
    // Requests of one user arrive in any order: whichever it was that came first.
    assert.equal((await Promise.race(asked)).text, 'first')
    const again = harness.api(busy, id)
    answer(await device.nextRequest(), 'again')
    assert.equal((await again).text, 'again')
    for (const one of held.slice(1)) answer(one, 'late')
    await Promise.all(asked)
  })

  test('a controller has only so much under way, whoever asks; others go on', async () => {
    const { device, id } = await served()
    const people = await Promise.all([personFor(id), personFor(id)])
    const asked = [0, 0, 0, 1, 1].map((at) => harness.api(people[at]!, id))
    const held = await Promise.all(asked.map(() => device.nextRequest()))
    assert.equal((await harness.api(people[1], id)).status, 429)
    const other = await served()
    const stranger = await personFor(other.id)
    const free = harness.api(stranger, other.id)
    answer(await other.device.nextRequest(), 'free')
    assert.equal((await free).text, 'free')
    for (const one of held) answer(one, 'x')
    await Promise.all(asked)
  })

  test('what is under way is counted back to nothing, however it ends', () => {
    const live = createLiveRequests({ perUser: 2, perController: 3 })
    const entry = (userId: string, controllerId: string): LiveEntry => ({
      principal: { userId, sessionId: 's' },
      controllerId,
      needs: 'GET',
      revoke: () => undefined,
      leave: () => undefined,
    })
    const entries = [entry('a', '1'), entry('a', '2'), entry('b', '1'), entry('c', '1')]
    assert.deepEqual(entries.map(live.enter), [true, true, true, true])
    assert.equal(live.enter(entry('a', '3')), false)
    assert.equal(live.enter(entry('d', '1')), false)
    for (const one of [...entries, ...entries]) live.left(one)
    assert.equal(live.size, 0)
    assert.equal(live.enter(entry('a', '1')), true)
  })

  test('P10, T11: heads and bodies that drip, and readers that stand still, cost nobody else', async () => {
    const { device, id } = await served({ rx_window: 4_096, rx_budget: 8_192 })
    const other = await served()
    const calm = await personFor(other.id)
    other.device.serve((asked) => answer(asked, 'quick'))
    const startRss = process.memoryUsage().rss
    for (let count = 0; count < 100; count += 1) open('GET /c/x HTTP/1.1\r\nHost: localhost:8080\r\nX-Slow: ')
    const slow = await personFor(id)
    const head = `Host: localhost:8080\r\nAuthorization: Bearer ${slow.accessToken}\r\n`
    for (let count = 0; count < 2; count += 1)
      open(`POST /c/${id}/drip HTTP/1.1\r\n${head}Content-Length: 100000\r\n\r\nab`)
    const reader = open(`GET /c/${id}/big HTTP/1.1\r\n${head}\r\n`)
    reader.socket.pause()
    for (let count = 0; count < 3; count += 1) {
      const asked = await device.nextRequest()
      if (asked.request.path !== '/big') continue
      asked.stream.respond({ status: 200, headers: [] }, false)
      asked.stream.write(Buffer.alloc(50_000_000))
    }
    for (let count = 0; count < 50; count += 1)
      assert.equal((await harness.api(calm, other.id)).text, 'quick')
    // The 50 MB are the device's, which lives in this process too.
    const grown = process.memoryUsage().rss - startRss
    assert.ok(grown < 150_000_000, `${grown} bytes`)
  })

  test('R1: fewer than 2,000 series whatever devices, users and shards do', async (context) => {
    const metrics = createMetrics('gateway')
    const traffic = createTraffic(createGatewayMetrics(metrics))
    const outcomes: Outcome[] = [
      'ok',
      'user_left',
      'device_offline',
      'rate_limited',
      'shed',
      'refused',
      'device_disconnected',
      'device_timeout',
      'bad_device_response',
      'overloaded',
      'slow_reader',
      'access_ended',
      'not_supported',
    ]
    const methods = [
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'PROPFIND',
      'M-SEARCH',
      'QUERY',
    ]
    const hops: Hop[] = ['local', 'peer', 'none']
    // A tunnel is either known, and then here or at a peer, or not, and then nothing but a refusal comes of it.
    const isPossible = (outcome: Outcome, hop: Hop) =>
      hop === 'none'
        ? ['device_offline', 'rate_limited', 'shed', 'refused', 'user_left'].includes(outcome)
        : !['rate_limited', 'shed', ...(hop === 'local' ? ['device_offline'] : [])].includes(outcome)
    for (const outcome of outcomes)
      for (const hop of hops.filter((each) => isPossible(outcome, each)))
        for (const method of methods)
          for (let status = 0; status < 600; status = status === 0 ? 200 : status + 1)
            traffic.finished({ method, status, outcome, hop, seconds: status, traceId: '' })
    const own = (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('wmoc_'))
    context.diagnostic(`${own.length} series`)
    assert.ok(own.length < 1_800, `${own.length} series`)
    assert.ok(own.some((line) => line.includes('method="other",code="200",outcome="ok",hop="peer"')))
    assert.ok(own.every((line) => !/PROPFIND|QUERY|299|5\d\d\.\d/.test(line)))
  })
})
