import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { RequestBody } from '../device/request-body.ts'
import { createMemoryStore } from '../device/store.ts'
import { createSimulator, type Simulator } from '../simulator.ts'
import {
  answerTo,
  CONTROLLER_ID,
  SECRET,
  startServerSide,
  type Peer,
  type ServerSide,
} from '../testing/server-side.ts'
import { createForward, type Forward } from './forward.ts'

const BIG_BYTES = 200 * 1_048_576
const PIECE = Buffer.alloc(65_536, 0xa5)
const GZIP = gzipSync('compressed by the device')

let origin: string
let device: http.Server
let server: ServerSide
let forward: Forward
let simulator: Simulator
let peer: Peer
const seen: { method?: string; url?: string; rawHeaders: string[]; body: Buffer }[] = []
let bigClosed = Promise.withResolvers<void>()
/** Holds the promise that the device sees the request's socket close. */
const silent = Promise.withResolvers<{ left: Promise<unknown> }>()
let requests = 0

/** A real web server with everything a device's has. */
const answers: Record<string, (request: http.IncomingMessage, response: http.ServerResponse) => void> = {
  '/gzip': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(GZIP),
  '/cookies': (_, response) =>
    response.writeHead(200, ['Set-Cookie', 'a=1', 'X-Odd', 'one', 'set-cookie', 'b=2; Path=/']).end('ok'),
  '/moved': (_, response) => response.writeHead(302, { Location: `${origin}/there?x=1` }).end(),
  '/away': (_, response) => response.writeHead(301, { Location: 'http://192.168.1.9/x' }).end(),
  '/not-modified': (_, response) => response.writeHead(304, { ETag: '"x"' }).end(),
  '/range': (request, response) =>
    response.writeHead(206, { 'Content-Range': `${request.headers.range?.replace('=', ' ')}/10` }).end('234'),
  '/big': (_, response) => sendBig(response),
  '/broken': (_, response) => {
    response.writeHead(200, { 'Content-Length': '1000000' })
    response.write(PIECE, () => response.destroy())
  },
  '/silent': (request) => silent.resolve({ left: once(request.socket, 'close') }),
  '/stream': (_, response) =>
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n'),
}

function sendBig(response: http.ServerResponse): void {
  response.writeHead(200, { 'Content-Length': String(BIG_BYTES) })
  let sent = 0
  response.on('close', () => bigClosed.resolve())
  function more(): void {
    while (sent < BIG_BYTES && !response.destroyed) {
      sent += PIECE.length
      if (!response.write(PIECE)) return void response.once('drain', more)
    }
    response.end()
  }
  more()
}

before(async () => {
  device = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      seen.push({
        method: request.method,
        url: request.url,
        rawHeaders: request.rawHeaders,
        body: Buffer.concat(chunks),
      })
      const answer = answers[request.url ?? '']
      if (answer) answer(request, response)
      else response.end(`${request.method} ${request.url}`)
    })
  })
  device.listen(0, '127.0.0.1')
  await once(device, 'listening')
  const { port } = device.address() as AddressInfo
  origin = `http://127.0.0.1:${port}`
  server = await startServerSide()
  forward = createForward(origin)
  const current = { controller_id: CONTROLLER_ID, secret: SECRET }
  simulator = createSimulator({
    url: server.url,
    store: createMemoryStore({ current, next: null }),
    handler: forward.handler,
    maxStreams: 32,
    reportEveryMs: 0,
  })
  simulator.start()
  peer = await server.accept()
  await peer.next('register')
  peer.register()
  await once(simulator.events, 'registered')
})
after(async () => {
  await simulator.stop()
  forward.close()
  await server.stop()
  device.closeAllConnections()
  device.close()
})

function send(path: string, options: { method?: string; headers?: HeaderBlock; body?: Buffer } = {}): string {
  requests += 1
  const id = `r${requests}`
  const { method = 'GET', headers = {}, body = Buffer.alloc(0) } = options
  peer.send({
    type: 'http_request',
    id,
    method,
    path,
    headers,
    body: body.toString('base64'),
    bodyEncoding: 'base64',
  })
  return id
}

function ask(...parameters: Parameters<typeof send>) {
  return answerTo(peer, send(...parameters))
}

suite('an agent in front of a real HTTP device', () => {
  test('hands on path, query, headers and body as they came', async () => {
    const path = '/a/../b//%2e%2E/%2F;x=1?q=%20&q=+#'
    const headers = {
      'X-Case': 'Kept',
      accept: ['a', 'b'],
      Connection: 'close',
      'Transfer-Encoding': 'chunked',
    }
    const body = Buffer.from([0, 255, 10])
    const { head } = await ask(path, { method: 'PUT', headers, body })
    const last = seen.at(-1)
    assert.equal(head.status, 200)
    assert.deepEqual([last?.method, last?.url, last?.body], ['PUT', path, body])
    assert.ok(last?.rawHeaders.includes('X-Case'))
    assert.deepEqual(
      last?.rawHeaders.filter((_, at, all) => all[at - 1] === 'accept'),
      ['a', 'b'],
    )
    assert.ok(!last?.rawHeaders.includes('chunked'))
  })

  test('sends no Content-Length with a GET and a zero with an empty POST', async () => {
    await ask('/get')
    assert.ok(!seen.at(-1)?.rawHeaders.some((name) => name.toLowerCase() === 'content-length'))
    await ask('/post', { method: 'POST' })
    const raw = seen.at(-1)?.rawHeaders ?? []
    assert.equal(raw[raw.findIndex((name) => name.toLowerCase() === 'content-length') + 1], '0')
  })

  test('keeps the host the user asked for, else names the device', async () => {
    await ask('/host', { headers: { host: 'abc.devices.example' } })
    assert.ok(seen.at(-1)?.rawHeaders.includes('abc.devices.example'))
    await ask('/host')
    assert.ok(seen.at(-1)?.rawHeaders.includes(new URL(origin).host))
  })

  test('gives back compressed bytes, repeated headers and ranges untouched', async () => {
    assert.deepEqual((await ask('/gzip')).body, GZIP)
    const { head } = await ask('/cookies')
    assert.deepEqual(Reflect.get(Object(head.headers), 'Set-Cookie'), ['a=1', 'b=2; Path=/'])
    const range = await ask('/range', { headers: { range: 'bytes=2-4' } })
    assert.deepEqual([range.head.status, range.body.toString()], [206, '234'])
    assert.equal(Reflect.get(Object(range.head.headers), 'Content-Range'), 'bytes 2-4/10')
  })

  test('does not follow redirects; the address of the device itself becomes a path', async () => {
    const { head } = await ask('/moved')
    assert.deepEqual([head.status, Reflect.get(Object(head.headers), 'Location')], [302, '/there?x=1'])
    const away = await ask('/away')
    assert.equal(Reflect.get(Object(away.head.headers), 'Location'), 'http://192.168.1.9/x')
  })

  test('answers HEAD and 304 without a body', async () => {
    const head = await ask('/gzip', { method: 'HEAD' })
    assert.deepEqual([head.head.status, head.body.length, head.head.more], [200, 0, undefined])
    assert.equal((await ask('/not-modified')).head.status, 304)
  })

  test('sends the head of an endless stream at once', async () => {
    const id = send('/stream')
    assert.equal((await peer.next('http_response')).id, id)
    const chunk = await peer.next('http_response_chunk')
    assert.equal(chunk.body, 'data: 1\n\n')
    peer.send({ type: 'http_cancel', id })
    assert.equal((await peer.next('http_response_chunk')).error, 'cancelled')
  })

  test('breaks the transfer when the device breaks off', async () => {
    const { error, body } = await ask('/broken')
    assert.equal(error, 'upstream broke off')
    assert.ok(body.length < 1_000_000)
  })

  test('T13: lets go of a device that has not begun to answer when the user goes away', async () => {
    const id = send('/silent')
    const { left } = await silent.promise
    peer.send({ type: 'http_cancel', id })
    await left
  })

  test('is 502 when the device cannot be reached', async () => {
    const closed = http.createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    const dead = createForward(`http://127.0.0.1:${port}`)
    const { promise, resolve } = Promise.withResolvers<number>()
    const refuse = () => Promise.reject(new Error('not expected'))
    await dead.handler(
      {
        method: 'GET',
        path: '/',
        headers: {},
        body: RequestBody.empty,
        isLive: true,
        signal: new AbortController().signal,
      },
      { whole: async (status) => resolve(status), begin: refuse, write: refuse, end: refuse, fail: refuse },
    )
    assert.equal(await promise, 502)
    dead.close()
  })

  test('takes only http addresses', () => {
    assert.throws(() => createForward('https://device/'), /http:\/\/host:port/)
  })

  test('T11: passes 200 MB on in constant memory, however slowly they are taken', async () => {
    const id = send('/big')
    let received = 0
    let peak = 0
    const start = process.memoryUsage()
    const done = Promise.withResolvers<void>()
    // Counted raw: keeping 200 MB of messages would be the test's memory, not the agent's.
    peer.socket.removeAllListeners('message')
    peer.socket.on('message', (data) => {
      const message = JSON.parse(Buffer.isBuffer(data) ? data.toString('utf8') : '{}') as {
        id?: string
        body?: string
        more?: boolean
      }
      if (message.id !== id) return
      received += Buffer.byteLength(message.body ?? '', 'base64')
      if (received % (8 * 1_048_576) < 16_384) {
        peer.socket.pause()
        setTimeout(() => peer.socket.resume(), 5)
        const now = process.memoryUsage()
        peak = Math.max(peak, now.external + now.arrayBuffers - start.external - start.arrayBuffers)
      }
      if (message.more === false) done.resolve()
    })
    await done.promise
    assert.equal(received, BIG_BYTES)
    assert.ok(peak < 64 * 1_048_576, `${peak} bytes kept`)
  })

  test('T13: stops reading from the device when the user goes away', async () => {
    bigClosed = Promise.withResolvers()
    const id = send('/big')
    setTimeout(() => peer.send({ type: 'http_cancel', id }), 50)
    await bigClosed.promise
  })
})
