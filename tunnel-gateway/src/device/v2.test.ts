import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { encodeFrame } from '@wmoc/protocol/v2/frame-codec'
import { FRAME, RESET } from '@wmoc/protocol/v2/frames'
import { WebSocket } from 'ws'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, connectDeviceV2, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { Asked, DeviceV2Options } from '#src/testing/raw-device-v2.ts'

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

suite('dialect v2', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({
      IDLE_TIMEOUT_MS: '1500',
      QUEUE_PER_TUNNEL: '2',
      DEVICE_MESSAGES_PER_SECOND: '5',
    })
  })
  after(() => harness.stop())

  async function served(hello: Parameters<typeof onlineV2>[2] = {}, options: DeviceV2Options = {}) {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    const id = known.record.controllerId
    harness.controlPlane.grant(person, id)
    const device = await onlineV2(harness.port, known, hello, options)
    const ask = (given = {}) => harness.api(person, id, given)
    return { device, ask, known, person, id }
  }
  const agent = { max_chunk: 16_384, max_message: 65_536, rx_window: 262_144, rx_budget: 1_048_576 }

  /** A user's connection that reads only when told to. */
  function slowUser(id: string, accessToken: string, path: string) {
    const socket = connect({ port: harness.port, host: '127.0.0.1' })
    socket.pause()
    socket.on('error', () => undefined)
    socket.write(
      `GET /c/${id}${path} HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer ${accessToken}\r\nConnection: close\r\n\r\n`,
    )
    return socket
  }

  test('a request and its answer, with bodies, cookies and trailers', async () => {
    const { device, ask } = await served()
    const asked = ask({ method: 'POST', path: '/a?b=c', body: 'hello' })
    const one = await device.nextRequest()
    assert.equal(one.request.method, 'POST')
    assert.equal(one.request.path, '/a?b=c')
    await until(() => one.log.includes('end'))
    assert.equal(Buffer.concat(one.body).toString(), 'hello')
    answer(one, 'fine', 201, ['x-a', 'b', 'content-type', 'text/plain'])
    const got = await asked
    assert.deepEqual([got.status, got.text, got.headers['x-a']], [201, 'fine', 'b'])
    await until(() => one.log.includes('over'))
    assert.deepEqual(device.faults, [])
  })

  test('megabytes go both ways byte for byte, in pieces that both sides can hold', async () => {
    const { device, ask } = await served(agent)
    const up = randomBytes(3_000_000)
    const down = randomBytes(5_000_000)
    device.serve((asked) => {
      asked.stream.respond({ status: 200, headers: [] }, false)
      asked.stream.write(down)
      asked.stream.end()
    })
    const got = await ask({ method: 'PUT', path: '/firmware', body: up })
    assert.equal(hash(got.body), hash(down))
    const [one] = device.asked
    // Its answer was whole before its request was: then the rest of that is nobody's.
    await until(() => one!.log.includes('end') || one!.log.includes(`reset ${RESET.cancelled}`))
    if (one!.log.includes('end')) assert.equal(hash(Buffer.concat(one!.body)), hash(up))

    const sent = ask({ method: 'PUT', path: '/firmware', body: up })
    device.serve(() => undefined)
    await until(() => device.asked.length === 2 && device.asked[1]!.log.includes('end'))
    assert.equal(hash(Buffer.concat(device.asked[1]!.body)), hash(up))
    answer(device.asked[1]!, 'stored')
    assert.equal((await sent).text, 'stored')
    assert.deepEqual(device.faults, [])
  })

  test('never sends what the device said it can’t hold: streams, pieces, messages, bytes', async () => {
    const small = { max_chunk: 256, max_message: 1_024, rx_window: 512, rx_budget: 768 }
    const { device, ask } = await served(
      { ...small, credentials: { max_streams: 2 } },
      { maxStreams: 2, isReading: false },
    )
    const body = randomBytes(20_000)
    const requests = Array.from({ length: 4 }, () => ask({ method: 'POST', path: '/x', body }))
    await until(() => device.asked.length === 2)
    const came = () => device.asked.reduce((sum, one) => sum + Buffer.concat(one.body).length, 0)
    await until(() => came() >= 512)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.ok(came() <= 768 + 2 * 256, `${came()} bytes came`)
    assert.equal(device.asked.length, 2)

    // Two wait; the next finds the queue full.
    const refused = await ask()
    assert.equal(refused.status, 503)
    assert.ok(Number(refused.headers['retry-after']) > 0)
    for (const one of device.asked) {
      one.isReading = true
      one.stream.consumed(Buffer.concat(one.body).length)
    }
    device.serve((one) => {
      one.isReading = true
      one.stream.consumed(Buffer.concat(one.body).length)
      void until(() => one.log.includes('end')).then(() => answer(one, hash(Buffer.concat(one.body))))
    })
    for (const one of device.asked.slice(0, 2))
      void until(() => one.log.includes('end')).then(() => answer(one, hash(Buffer.concat(one.body))))
    for (const request of requests) assert.equal((await request).text, hash(body))
    assert.ok(device.messageBytes.slice(1).every((bytes) => bytes <= 1_024))
    assert.ok(
      device.asked.every((one) =>
        one.log.every((entry) => Number(/^data (\d+)$/.exec(entry)?.[1] ?? 0) <= 256),
      ),
    )
    assert.deepEqual(device.faults, [])
  })

  test('T13: a user who leaves is told to the device, whose slot is free again', async () => {
    const { device, ask, id, person } = await served({ credentials: { max_streams: 1 } })
    const user = slowUser(id, person.accessToken, '/long')
    const one = await device.nextRequest()
    one.stream.respond({ status: 200, headers: [] }, false)
    one.stream.write(Buffer.from('begun'))
    await until(() => one.stream.queuedBytes === 0)
    user.destroy()
    await until(() => one.log.includes(`reset ${RESET.cancelled}`))
    device.serve((next) => answer(next, 'next'))
    assert.equal((await ask()).text, 'next')
    await until(async () => (await harness.status())['inFlight'] === 0)
  })

  test('T11, T12: a reader that stands still stops its own answer and no other, and gets all of it later', async () => {
    const { device, ask, id, person } = await served(agent)
    const size = 24 * 1_048_576
    const user = slowUser(id, person.accessToken, '/big')
    const big = await device.nextRequest()
    big.stream.respond({ status: 200, headers: [] }, false)
    big.stream.write(Buffer.alloc(size, 'x'))
    big.stream.end()
    // What systems' buffers on this machine take is gone at some point.
    let left = -1
    await until(async () => {
      const earlier = left
      left = big.stream.queuedBytes
      await new Promise((resolve) => setTimeout(resolve, 150))
      return left === earlier
    })
    assert.ok(left > size / 2, `${size - left} bytes were taken`)
    device.serve((one) => answer(one, 'small'))
    for (let index = 0; index < 20; index += 1) assert.equal((await ask()).text, 'small')
    assert.equal(big.stream.queuedBytes, left)
    assert.ok(process.memoryUsage().arrayBuffers < 200 * 1_048_576)

    let received = 0
    user.on('data', (chunk: Buffer) => (received += chunk.length))
    user.resume()
    await once(user, 'close')
    assert.ok(received > size, `${received} bytes`)
    assert.deepEqual(device.faults, [])
  })

  test('T11: a reader that never reads on is cut, and costs the device its slot no longer', async () => {
    const { device, ask, id, person } = await served({ ...agent, credentials: { max_streams: 1 } })
    const user = slowUser(id, person.accessToken, '/big')
    const big = await device.nextRequest()
    big.stream.respond({ status: 200, headers: [] }, false)
    big.stream.write(Buffer.alloc(32 * 1_048_576))
    await until(() => big.log.includes(`reset ${RESET.slowReader}`))
    device.serve((one) => answer(one, 'next'))
    assert.equal((await ask()).text, 'next')
    user.destroy()
  })

  test('T5, T20: an answer that the device breaks off is a cut transfer, before its head 502', async () => {
    const { device, ask } = await served()
    device.serve((one) => {
      if (one.request.path.endsWith('/early')) return one.stream.reset(RESET.interrupted)
      one.stream.respond({ status: 200, headers: [] }, false)
      one.stream.write(Buffer.from('half'))
      setTimeout(() => one.stream.reset(RESET.interrupted), 50)
    })
    const half = await ask()
    assert.equal(half.isCut, true)
    assert.equal((await ask({ path: '/early' })).status, 502)
  })

  test('T1, T3: heads that break the policy are 502 and the tunnel stays', async () => {
    const { device, ask } = await served()
    const heads: [number, string[]][] = [
      [99, []],
      [150, []],
      [1_000, []],
      [101, []],
      [200, ['x-a', 'b\u0001']],
    ]
    let next = 0
    device.serve((one) => answer(one, 'x', ...heads[next]!))
    for (; next < heads.length; next += 1) assert.equal((await ask()).status, 502, String(heads[next]))
    device.serve((one) => answer(one, 'fine'))
    assert.equal((await ask()).text, 'fine')
  })

  test('T10: an answer that falls silent is cut; an event stream may be silent', async () => {
    const { device, ask, id, person } = await served()
    device.serve((one) => {
      const type = one.request.path.endsWith('/events') ? 'text/event-stream; charset=utf-8' : 'text/plain'
      one.stream.respond({ status: 200, headers: ['content-type', type] }, false)
      one.stream.write(Buffer.from('data: 1\n\n'))
    })
    const events = slowUser(id, person.accessToken, '/events')
    let text = ''
    events.on('data', (chunk: Buffer) => (text += chunk.toString()))
    events.resume()
    const cut = await ask({ path: '/plain' })
    assert.equal(cut.isCut, true)
    await until(() => text.includes('data: 1'))
    assert.equal(events.destroyed, false)
    device.asked
      .find(({ request }) => request.path.endsWith('/events'))!
      .stream.write(Buffer.from('data: 2\n\n'))
    await until(() => text.includes('data: 2'))
    events.destroy()
  })

  test('measurements, logs, commands and their results go as in dialect v1, before and after the first request', async () => {
    const known = harness.controlPlane.addController()
    const id = known.record.controllerId
    const command = (params: string) => {
      const queued = {
        controllerId: id,
        id: crypto.randomUUID(),
        name: 'a',
        params,
        expiresAt: Date.now() + 60_000,
      }
      harness.controlPlane.queued.push(queued)
      return queued
    }
    const first = command('small')
    const large = command('x'.repeat(5_000))
    const device = await onlineV2(harness.port, known)
    assert.equal((await device.next('command')).id, first.id)
    device.control({ type: 'command_result', id: first.id, ok: true })
    const resultOf = (wanted: string) => harness.controlPlane.results.find((result) => result.id === wanted)
    await until(() => resultOf(first.id)?.ok === true && resultOf(large.id)?.ok === false)
    device.control({ type: 'metrics', seq: 1, items: [{ type: 't', value: 1 }] })
    assert.equal((await device.next('ack')).seq, 1)
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, id)
    device.serve((one) => answer(one, 'fine'))
    assert.equal((await harness.api(person, id)).text, 'fine')
    device.control({ type: 'log', seq: 2, items: [{ level: 'info', message: 'hello' }] })
    assert.equal((await device.next('ack')).seq, 2)
  })

  test('an activation is answered with WELCOME and credentials; both dialects offered is v2', async () => {
    harness.controlPlane.tokens.add('token-v2')
    const device = await connectDeviceV2(harness.port)
    device.control({ type: 'hello', token: 'token-v2' })
    const welcome = await device.next('welcome')
    assert.ok(welcome.credentials)
    assert.equal(welcome.session, undefined)
    const both = new WebSocket(`ws://127.0.0.1:${harness.port}/tunnel`, ['wmoc.v1', 'wmoc.v2'])
    await once(both, 'open')
    assert.equal(both.protocol, 'wmoc.v2')
    both.terminate()
    const claimed = await connectDeviceV2(harness.port)
    claimed.control({ type: 'hello' })
    assert.equal((await claimed.next('activation_required')).userCode, 'BCDF-GHJK')
    claimed.stop()
  })

  test('T16, T7: what is out of order or no frame closes with 1008, 1007 or 4400', async () => {
    const json = (type: 1 | 12, text: string) => encodeFrame(type, Buffer.from(text))
    const unregistered: [Uint8Array, number][] = [
      [encodeFrame(FRAME.resp, Buffer.from([0, 200]), { stream: 1, seq: 1 }), 1008],
      [json(FRAME.event, '{"type":"metrics","items":[{"type":"t","value":1}]}'), 1008],
      [json(FRAME.hello, '{"credentials":{"a":1e400}}'), 1008],
      [json(FRAME.hello, '{{'), 1007],
      [json(FRAME.hello, '[]'), 4400],
      [Buffer.from('{}'), 4400],
      [Buffer.alloc(8, 255), 4400],
      [encodeFrame(FRAME.goaway, Buffer.from('{}')), 4400],
    ]
    for (const [bytes, code] of unregistered) {
      const device = await connectDeviceV2(harness.port)
      device.send(bytes)
      assert.equal((await device.closed).code, code, Buffer.from(bytes).toString('latin1'))
    }
    const registered: [Uint8Array | string, number][] = [
      [json(FRAME.hello, '{}'), 1008],
      [encodeFrame(FRAME.req, Buffer.from([0x80, 1, 47]), { stream: 1, seq: 1, flags: 1 }), 4400],
      [encodeFrame(FRAME.data, Buffer.from('x'), { stream: 9, seq: 1 }), 4400],
      [encodeFrame(FRAME.otaBlock, Buffer.from('x'), { stream: 9, seq: 1 }), 4400],
      ['text', 1008],
    ]
    for (const [bytes, code] of registered) {
      const { device } = await served()
      device.socket.send(bytes)
      assert.equal((await device.closed).code, code, String(bytes))
    }
  })

  test('T14: a device that floods with events is closed with 4429', async () => {
    const { device } = await served()
    for (let seq = 0; seq < 100; seq += 1)
      device.control({ type: 'log', seq, items: [{ level: 'info', message: 'x' }] })
    assert.equal((await device.closed).code, 4429)
  })

  test('a WebSocket of a user reaches the device message by message, and closes at both ends', async () => {
    const { device, id, person } = await served(agent)
    const open = () =>
      new WebSocket(`ws://127.0.0.1:${harness.port}/c/${id}/socket`, {
        headers: { authorization: `Bearer ${person.accessToken}`, host: 'localhost:8080' },
      })
    const socket = open()
    const one: Asked = await device.nextRequest()
    assert.equal(one.kind, 'websocket')
    one.stream.respond({ status: 101, headers: [] }, false)
    await once(socket, 'open')
    socket.send('hello')
    await until(() => one.log.includes('message text hello'))
    const big = randomBytes(700_000)
    one.stream.message(big, true)
    const [data] = (await once(socket, 'message')) as [Buffer]
    assert.equal(hash(data), hash(big))
    socket.close(4001, 'bye')
    await until(() => one.log.includes('closed 4001'))
    one.stream.close(1000, '')
    await until(() => one.log.includes('over'))

    const refused = open()
    refused.on('error', () => undefined)
    const second = await device.nextRequest()
    answer(second, 'no', 403)
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }]
    assert.equal(response.statusCode, 403)

    const endless = open()
    const third = await device.nextRequest()
    third.stream.respond({ status: 101, headers: [] }, false)
    await once(endless, 'open')
    third.stream.message(Buffer.alloc(1_100_000), true)
    const [code] = (await once(endless, 'close')) as [number]
    assert.equal(code, 1009)
    assert.deepEqual(device.faults, [])
  })
})
