import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { openStore } from '@wmoc/platform/open-store'
import { createLogger } from '@wmoc/platform/log'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { Asked } from '#src/testing/raw-device-v2.ts'

const AGENT = { max_chunk: 16_384, max_message: 65_536, rx_window: 131_072, rx_budget: 1_048_576 }
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

suite('WebSockets of users', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ DRAIN_DEADLINE_MS: '2000' })
  })
  after(() => harness.stop())

  async function served(role: 'owner' | 'viewer' = 'owner', from = harness) {
    const known = from.controlPlane.addController()
    const person = await from.controlPlane.addPerson()
    const id = known.record.controllerId
    from.controlPlane.grant(person, id, role)
    const device = await onlineV2(from.port, known, { ...AGENT, credentials: { max_streams: 16 } })
    const headers = { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` }
    const dial = (options: ClientOptions = {}, protocols: string[] = []) =>
      new WebSocket(`ws://127.0.0.1:${from.port}/c/${id}/ws`, protocols, {
        perMessageDeflate: false,
        ...options,
        headers: { ...headers, ...options.headers },
      })
    /** Both ends of a WebSocket. */
    async function open(protocols: string[] = [], chosen?: string): Promise<[WebSocket, Asked]> {
      const socket = dial({}, protocols)
      const asked = await device.nextRequest()
      const reply = chosen === undefined ? [] : ['sec-websocket-protocol', chosen]
      asked.stream.respond({ status: 101, headers: reply }, false)
      await once(socket, 'open')
      return [socket, asked]
    }
    return { known, person, id, device, dial, open }
  }

  const closeOf = async (socket: WebSocket) => ((await once(socket, 'close')) as [number, Buffer])[0]
  const statusOf = async (socket: WebSocket) => {
    socket.on('error', () => undefined)
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
    socket.terminate()
    return response.statusCode
  }

  /** A handshake by hand, and everything that came back. */
  function raw(
    id: string,
    accessToken: string,
    headers: string,
  ): { socket: Socket; bytes(): Buffer; isClosed(): boolean } {
    const socket = connect(harness.port, '127.0.0.1')
    const chunks: Buffer[] = []
    let isClosed = false
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('close', () => (isClosed = true))
    socket.on('error', () => undefined)
    socket.write(
      `GET /c/${id}/ws HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer ${accessToken}\r\n` +
        `Connection: Upgrade\r\nUpgrade: websocket\r\n${headers}\r\n`,
    )
    return { socket, bytes: () => Buffer.concat(chunks), isClosed: () => isClosed }
  }
  const SOUND = `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n`
  const frame = (opcode: number, payload: Buffer) =>
    Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload])

  test('P11: a handshake that is not sound is refused, and the device hears nothing of it', async () => {
    const { id, person, device } = await served()
    const cases: [string, number][] = [
      ['Sec-WebSocket-Version: 13\r\n', 426],
      [`Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 8\r\n`, 426],
      [`Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n`, 426],
      [`${SOUND}Content-Length: 3\r\n\r\nabc`, 400],
      [`${SOUND}Transfer-Encoding: chunked\r\n`, 400],
      [`${SOUND}Sec-WebSocket-Protocol: a,,b\r\n`, 400],
      [`${SOUND}Sec-WebSocket-Protocol: a, a\r\n`, 400],
      [
        `${SOUND}Sec-WebSocket-Protocol: ${Array.from({ length: 40 }, (_, index) => `p${index}`).join()}\r\n`,
        400,
      ],
    ]
    for (const [headers, status] of cases) {
      const user = raw(id, person.accessToken, headers)
      await until(() => user.isClosed())
      assert.match(user.bytes().toString(), new RegExp(`^HTTP/1\\.1 ${status} `), headers)
    }
    assert.equal(device.asked.length, 0)
  })

  test('P11: no pipe opens unless the device agrees to just this', async () => {
    const { device, dial, id, person } = await served()
    const refuse = async (status: number, headers: string[], isLast: boolean, protocols: string[] = []) => {
      const socket = dial({}, protocols)
      const refused = statusOf(socket)
      const asked = await device.nextRequest()
      asked.stream.respond({ status, headers }, isLast)
      return refused
    }
    assert.equal(await refuse(403, ['content-type', 'text/plain'], true), 403)
    assert.equal(await refuse(200, [], false), 200)
    assert.equal(await refuse(99, [], true), 502)
    assert.equal(await refuse(101, ['sec-websocket-protocol', 'other'], false, ['mine']), 502)
    assert.equal(await refuse(101, ['sec-websocket-protocol', 'mine'], false), 502)
    // And none where nobody asked for one.
    const plain = harness.api(person, id)
    const asked = await device.nextRequest()
    asked.stream.respond({ status: 101, headers: ['upgrade', 'websocket'] }, false)
    assert.equal((await plain).status, 502)
  })

  test('P11: 501 in clear words where the device speaks a dialect without WebSockets', async () => {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    await harness.online(known)
    const user = raw(known.record.controllerId, person.accessToken, SOUND)
    await until(() => user.isClosed())
    assert.match(user.bytes().toString(), /^HTTP\/1\.1 501 .*"not_implemented".*dialect v2/s)
  })

  test('P12: the subprotocol is the one that the device chose of those offered', async () => {
    const { open } = await served()
    const [socket, asked] = await open(['one', 'two'], 'two')
    const { headers } = asked.request
    assert.equal(headers[headers.indexOf('sec-websocket-protocol') + 1], 'one,two')
    assert.equal(socket.protocol, 'two')
    socket.close()
    const { device, id, person } = await served()
    const user = raw(id, person.accessToken, `${SOUND}Sec-WebSocket-Protocol: one\r\n`)
    const silent = await device.nextRequest()
    silent.stream.respond({ status: 101, headers: [] }, false)
    await until(() => user.bytes().includes('\r\n\r\n'))
    assert.ok(!/sec-websocket-protocol/i.test(user.bytes().toString('latin1')))
    user.socket.destroy()
  })

  test('P12: on a device’s own origin only its own pages open one', async () => {
    const { known, person, device } = await served()
    const { pageLabel } = known.record
    const host = `${pageLabel}.localhost:8080`
    const left = await harness.ask({
      path: `/c/${known.record.controllerId}/`,
      headers: { accept: 'text/html', cookie: `__Host-wmoc_refresh=${person.refreshToken}` },
    })
    const url = new URL(left.headers.location!)
    const entered = await harness.ask({
      host,
      path: url.pathname + url.search,
      headers: { accept: 'text/html' },
    })
    const cookie = entered.headers['set-cookie']![0]!.split(';')[0]!
    const dial = (headers: Record<string, string>) =>
      new WebSocket(`ws://127.0.0.1:${harness.port}/ws`, { headers: { host, cookie, ...headers } })
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'http://localhost:8080' },
      { origin: 'null', 'sec-fetch-site': 'same-origin' },
      {},
    ]
    for (const headers of foreign) assert.equal(await statusOf(dial(headers)), 403, JSON.stringify(headers))
    assert.equal(await statusOf(dial({ origin: `http://${host}`, cookie: '' })), 401)
    assert.equal(device.asked.length, 0)
    const socket = dial({ origin: `http://${host}` })
    const asked = await device.nextRequest()
    assert.equal(asked.request.path, '/ws')
    asked.stream.respond({ status: 101, headers: [] }, false)
    await once(socket, 'open')
    socket.close()
  })

  test('a viewer opens none, and an owner who becomes one keeps none', async () => {
    const viewer = await served('viewer')
    assert.equal(await statusOf(viewer.dial()), 403)
    const { open, person, id } = await served()
    const [socket, asked] = await open()
    harness.controlPlane.grant(person, id, 'viewer')
    const log = createLogger({ process: 'test', level: 'silent' })
    const store = openStore({ url: harness.redis.url, log, name: 'test' })
    const closed = closeOf(socket)
    const notice = { type: 'access_changed', userId: person.userId, controllerId: id }
    await store.publish(GATEWAY_CHANNEL, JSON.stringify(notice))
    assert.equal(await closed, 1008)
    await until(() => asked.log.some((line) => line.startsWith('reset') || line.startsWith('closed')))
    await store.close()
  })

  test('P12: close codes pass, and those that are never sent do not', async () => {
    const { open } = await served()
    for (const [sent, heard] of [
      [1000, 1000],
      [4321, 4321],
      [1012, 1012],
      [1005, 1005],
      [1006, 1011],
      [1015, 1011],
      [999, 1011],
      [2999, 1011],
      [65_535, 1011],
    ] as const) {
      const [socket, asked] = await open()
      const closed = closeOf(socket)
      asked.stream.close(sent, 'r'.repeat(200))
      assert.equal(await closed, heard, String(sent))
    }
    const [silent, asked] = await open()
    silent.close()
    await until(() => asked.log.includes('closed 1000'))
    const [gone, left] = await open()
    gone.terminate()
    await until(() => left.log.includes('reset 1'))
  })

  test('P12: what breaks the protocol of WebSockets ends the one who broke it', async () => {
    const { device, id, person, open } = await served()
    const broken: [Buffer, number][] = [
      [Buffer.from([0x81, 3, 97, 98, 99]), 1002],
      [Buffer.concat([Buffer.from([0xc1, 0x80, 0, 0, 0, 0])]), 1002],
      [Buffer.concat([Buffer.from([0x83, 0x80, 0, 0, 0, 0])]), 1002],
      [frame(1, Buffer.from([0xff, 0xfe])), 1007],
      [Buffer.concat([Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0])]), 1009],
    ]
    for (const [bytes, code] of broken) {
      const user = raw(id, person.accessToken, SOUND)
      const asked = await device.nextRequest()
      asked.stream.respond({ status: 101, headers: [] }, false)
      await until(() => user.bytes().includes('\r\n\r\n'))
      assert.match(user.bytes().toString('latin1'), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/)
      user.socket.write(bytes)
      await until(() => user.bytes().includes(Buffer.from([0x88, 2, code >> 8, code & 0xff])))
      user.socket.destroy()
      await until(() => asked.log.some((line) => line.startsWith('reset') || line.startsWith('closed')))
    }
    const [socket, asked] = await open()
    const closed = closeOf(socket)
    asked.stream.message(Buffer.from([0xff, 0xfe]), false)
    assert.equal(await closed, 1011)
  })

  test('P12: a flood of pings ends the one who sends it; a few are answered', async () => {
    const { open } = await served()
    const [polite] = await open()
    polite.ping('hello')
    const [pong] = (await once(polite, 'pong')) as [Buffer]
    assert.equal(pong.toString(), 'hello')
    polite.close()
    const [flood, asked] = await open()
    const closed = closeOf(flood)
    for (let count = 0; count < 500; count += 1) flood.ping('x')
    assert.equal(await closed, 1008)
    await until(() => asked.log.some((line) => line.startsWith('closed')))
  })

  test('P12: a side that does not read stops the other one, and then everything arrives', async () => {
    const { open } = await served()
    const [socket, asked] = await open()
    const message = randomBytes(50_000)
    // The device reads nothing: what the user sends stays with the user.
    asked.stream.consumed = () => undefined
    for (let count = 0; count < 400; count += 1) socket.send(message)
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.ok(socket.bufferedAmount > 5_000_000, `the gateway took all but ${socket.bufferedAmount}`)
    const others = await served()
    const [quick, answering] = await others.open()
    quick.send('still here')
    await until(() => answering.log.includes('message text still here'))
    quick.close()
    socket.terminate()

    // And the other way round.
    const [slow, sending] = await open()
    slow.pause()
    for (let count = 0; count < 400; count += 1) sending.stream.message(message, true)
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.ok(
      sending.stream.queuedBytes > 5_000_000,
      `the gateway took all but ${sending.stream.queuedBytes}`,
    )
    let received = 0
    slow.on('message', (data: Buffer) => (received += data.length))
    slow.resume()
    await until(() => received === 400 * message.length)
    slow.close()
  })

  test('a device that goes away, and a shard that leaves, close with 1012: come again', async () => {
    const { open, device } = await served()
    const [socket] = await open()
    const closed = closeOf(socket)
    device.stop()
    assert.equal(await closed, 1012)

    const leaving = await startHarness({ DRAIN_DEADLINE_MS: '1000' })
    try {
      const other = await served('owner', leaving)
      const [last] = await other.open()
      const ended = closeOf(last)
      await leaving.gateway.lifecycle.stop()
      assert.equal(await ended, 1012)
    } finally {
      await leaving.stop()
    }
  })
})
