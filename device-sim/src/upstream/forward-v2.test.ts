/** An agent over dialect v2 in front of an nginx, and of web servers that say exactly what a test wants. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { after, afterEach, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer, type WebSocket } from 'ws'
import { startNginx, type TestNginx } from '@wmoc/testkit/nginx'
import { until } from '@wmoc/testkit/until'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { HeaderList } from '@wmoc/protocol/v2/mux'
import { createMemoryStore } from '../device/store.ts'
import { createSimulator, type Simulator } from '../simulator.ts'
import { CONTROLLER_ID, SECRET } from '../testing/server-side.ts'
import { startV2Side, type V2Peer, type V2Side } from '../testing/v2-side.ts'
import { createForward, type Forward } from './forward.ts'

const DOWNLOAD_BYTES = 100 * 1_048_576

let side: V2Side
let nginx: TestNginx
const cleanups: (() => unknown)[] = []
before(async () => {
  side = await startV2Side()
  nginx = await startNginx({ downloadBytes: DOWNLOAD_BYTES })
})
after(async () => {
  await side.stop()
  await nginx.stop()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function agentFor(origin: string): Promise<V2Peer> {
  const forward: Forward = createForward(origin)
  const simulator: Simulator = createSimulator({
    url: side.url,
    profile: 'agent',
    store: createMemoryStore({ current: { controller_id: CONTROLLER_ID, secret: SECRET }, next: null }),
    handler: forward.handler,
    socketHandler: forward.socketHandler,
    reportEveryMs: 0,
  })
  cleanups.push(
    () => forward.close(),
    () => simulator.stop(),
  )
  simulator.start()
  const peer = await side.accept()
  peer.welcome()
  await once(simulator.events, 'registered')
  return peer
}

/** A server that sees bytes: `answer` gets each connection and the text of each piece that came. */
async function rawServer(answer: (socket: Socket, text: string) => void): Promise<string> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data) => answer(socket, data.toString('latin1')))
    cleanups.push(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function httpServer(handler: http.RequestListener): Promise<{ server: http.Server; origin: string }> {
  const server = http.createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function valueOf(headers: HeaderList, name: string): string | undefined {
  const at = headers.findIndex((field, index) => index % 2 === 0 && field === name)
  return at < 0 ? undefined : headers[at + 1]
}

suite('an agent in front of nginx over dialect v2', () => {
  test('T11: downloads whole and in part, byte for byte, in constant memory', async () => {
    const peer = await agentFor(nginx.url)
    const hash = createHash('sha256')
    const done = Promise.withResolvers<void>()
    const start = process.memoryUsage().external
    let peak = 0
    const stream = peer.open('/download.bin', {
      data(bytes) {
        hash.update(bytes)
        stream.consumed(bytes.length)
        peak = Math.max(peak, process.memoryUsage().external - start)
      },
      end: () => done.resolve(),
      reset: (code) => done.reject(new Error(`reset ${code}`)),
    })
    await done.promise
    assert.equal(hash.digest('hex'), nginx.download?.sha256)
    assert.ok(peak < 64 * 1_048_576, `${peak} bytes kept`)
    const part = await peer.ask('/download.bin', { headers: ['range', 'bytes=1000000-1999999'] })
    assert.deepEqual([part.status, part.body.length], [206, 1_000_000])
    const head = await peer.ask('/download.bin', { method: 'HEAD' })
    assert.deepEqual([valueOf(head.headers, 'content-length'), head.body.length], [String(DOWNLOAD_BYTES), 0])
  })

  test('gives back pages, 304 and 404 as they are', async () => {
    const peer = await agentFor(nginx.url)
    const page = await peer.ask('/')
    assert.equal(page.status, 200)
    const etag = valueOf(page.headers, 'etag') ?? ''
    const cached = await peer.ask('/', { headers: ['if-none-match', etag] })
    assert.deepEqual([cached.status, cached.body.length], [304, 0])
    assert.equal((await peer.ask('/not-there')).status, 404)
  })
})

suite('an agent in front of a peculiar web server', () => {
  test('passes over interim answers, and hands on chunks and trailers', async () => {
    const origin = await rawServer((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n')
      setTimeout(() => socket.write('2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n'), 20)
    })
    const peer = await agentFor(origin)
    const { status, headers, body, trailers } = await peer.ask('/')
    assert.deepEqual([status, body.toString(), trailers], [200, 'abcde', ['x-sum', '5']])
    assert.equal(valueOf(headers, 'transfer-encoding'), undefined)
  })

  test('streams an upload as it comes, with its length or in chunks and trailers, and without Expect', async () => {
    let seen = ''
    const origin = await rawServer((socket, text) => {
      seen += text
      if (/\r\n0\r\n.*\r\n\r\n$/s.test(seen) || seen.endsWith('12345')) {
        socket.write('HTTP/1.1 204 No Content\r\n\r\n')
      }
    })
    const peer = await agentFor(origin)
    const answered = Promise.withResolvers<number>()
    const stream = peer.open(
      '/chunks',
      { head: ({ status }) => answered.resolve(status) },
      { method: 'POST', headers: ['expect', '100-continue'], isLast: false },
    )
    stream.write(Buffer.from('first'))
    await until(() => seen.includes('first'))
    assert.match(seen, /transfer-encoding: chunked/i)
    assert.doesNotMatch(seen, /expect/i)
    stream.end(['x-sum', '5'])
    assert.equal(await answered.promise, 204)
    assert.match(seen, /\r\n0\r\nx-sum: 5\r\n\r\n$/i)
    seen = ''
    const known = await peer.ask('/known', {
      method: 'PUT',
      headers: ['content-length', '5'],
      body: Buffer.from('12345'),
    })
    assert.equal(known.status, 204)
    assert.match(seen, /content-length: 5\r\n/i)
  })

  test('never lets a body run over its announced length into the next request', async () => {
    let seen = ''
    const origin = await rawServer((_, text) => (seen += text))
    const peer = await agentFor(origin)
    const { status } = await peer.ask('/', {
      method: 'POST',
      headers: ['content-length', '4'],
      body: Buffer.from('1234GET /secret HTTP/1.1\r\n\r\n'),
    })
    assert.equal(status, 502)
    assert.doesNotMatch(seen, /secret/)
  })

  test('reads no more of an upload than the upstream takes', async () => {
    const origin = await rawServer((socket) => socket.pause())
    const peer = await agentFor(origin)
    const stream = peer.open('/', {}, { method: 'POST', isLast: false })
    const piece = Buffer.alloc(1_048_576)
    for (let written = 0; written < 32; written += 1) stream.write(piece)
    let last = -1
    while (stream.queuedBytes !== last) {
      last = stream.queuedBytes
      await sleep(200)
    }
    assert.ok(stream.queuedBytes > 16 * 1_048_576, `${stream.queuedBytes} bytes wait here`)
    stream.reset(RESET.cancelled)
  })

  test('T13: lets go of the upstream when the user leaves, before and during the answer', async () => {
    const closed: string[] = []
    const { origin } = await httpServer((request, response) => {
      request.socket.once('close', () => closed.push(request.url ?? ''))
      if (request.url === '/begun') response.writeHead(200).write('begun')
    })
    const peer = await agentFor(origin)
    const begun = Promise.withResolvers<void>()
    const silent = peer.open('/silent', {})
    const speaking = peer.open('/begun', { data: () => begun.resolve() })
    await begun.promise
    silent.reset(RESET.cancelled)
    speaking.reset(RESET.cancelled)
    await until(() => closed.length === 2)
  })

  test('cuts the transfer when the upstream breaks off, and says 502 where it never answered', async () => {
    const origin = await rawServer((socket, text) => {
      if (text.startsWith('GET /cut')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
      setTimeout(() => socket.destroy(), 20)
    })
    const peer = await agentFor(origin)
    const cut = await peer.ask('/cut')
    assert.deepEqual([cut.body.toString(), cut.reset], ['abc', RESET.interrupted])
    const none = await peer.ask('/none', { method: 'POST', body: Buffer.from('x') })
    assert.equal(none.status, 502)
    assert.match(none.body.toString(), /upstream unreachable: ECONNRESET/)
    const garbage = await agentFor(await rawServer((socket) => socket.end('SIP/2.0 200 OK\r\n\r\n')))
    const nonsense = await garbage.ask('/')
    assert.equal(nonsense.status, 502)
    assert.match(nonsense.body.toString(), /upstream speaks no HTTP/)
  })

  test('hands on server-sent events as they happen', async () => {
    const opened = Promise.withResolvers<http.ServerResponse>()
    const { origin } = await httpServer((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
      opened.resolve(response)
    })
    const peer = await agentFor(origin)
    let heard = ''
    const stream = peer.open('/events', { data: (bytes) => (heard += Buffer.from(bytes).toString()) })
    const response = await opened.promise
    response.write('data: 1\n\n')
    await until(() => heard === 'data: 1\n\n')
    response.write('data: 2\n\n')
    await until(() => heard === 'data: 1\n\ndata: 2\n\n')
    stream.reset(RESET.cancelled)
  })
})

suite('an agent in front of WebSockets', () => {
  async function socketServer(onSocket: (socket: WebSocket, path: string) => void) {
    const { server, origin } = await httpServer((_, response) =>
      response.writeHead(403, { 'X-Why': 'not here' }).end('no'),
    )
    const sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
    })
    server.on('upgrade', (request, socket, head) => {
      if (request.url?.startsWith('/refused')) {
        socket.end('HTTP/1.1 403 Forbidden\r\nX-Why: not here\r\nContent-Length: 2\r\n\r\nno')
      } else sockets.handleUpgrade(request, socket, head, (opened) => onSocket(opened, request.url ?? ''))
    })
    cleanups.push(() => {
      for (const client of sockets.clients) client.terminate()
    })
    return origin
  }

  function connect(peer: V2Peer, path: string, headers: HeaderList = []) {
    const said: string[] = []
    const head = Promise.withResolvers<{ status: number; headers: HeaderList }>()
    const closed = Promise.withResolvers<string>()
    let message = ''
    const stream = peer.open(
      path,
      {
        head: head.resolve,
        message(bytes, isBinary, isLast) {
          stream.consumed(bytes.length)
          message += Buffer.from(bytes).toString('latin1')
          if (isLast) said.push(`${isBinary ? 'binary' : 'text'} ${message.length} ${message.slice(0, 20)}`)
          if (isLast) message = ''
        },
        closed: (code, reason) => closed.resolve(`${code} ${reason}`),
        reset: (code) => closed.resolve(`reset ${code}`),
      },
      { kind: 'websocket', headers },
    )
    return { stream, said, head: head.promise, closed: closed.promise }
  }

  test('passes text and binary, big and small, both ways, with the subprotocol that was chosen', async () => {
    const paths: string[] = []
    const origin = await socketServer((socket, path) => {
      paths.push(path)
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    const peer = await agentFor(origin)
    const { stream, said, head } = connect(peer, '/a/../b?x=%20', ['sec-websocket-protocol', 'chat, other'])
    const { status, headers } = await head
    assert.deepEqual([status, valueOf(headers, 'sec-websocket-protocol')], [101, 'chat'])
    assert.equal(valueOf(headers, 'sec-websocket-accept'), undefined)
    assert.deepEqual(paths, ['/a/../b?x=%20'])
    stream.message(Buffer.from('hello'), false)
    stream.message(Buffer.alloc(0), true)
    stream.message(Buffer.alloc(900_000, 'x'), true)
    await until(() => said.length === 3)
    assert.deepEqual(said, ['text 5 hello', 'binary 0 ', `binary 900000 ${'x'.repeat(20)}`])
  })

  test('takes a device that chooses none of the subprotocols', async () => {
    const origin = await socketServer((socket) => socket.send('hi'))
    const peer = await agentFor(origin)
    const { head, said } = connect(peer, '/', ['sec-websocket-protocol', 'other'])
    const { status, headers } = await head
    assert.deepEqual([status, valueOf(headers, 'sec-websocket-protocol')], [101, undefined])
    await until(() => said.length === 1)
  })

  test('carries close codes and reasons both ways', async () => {
    const heard = Promise.withResolvers<string>()
    const origin = await socketServer((socket, path) => {
      if (path === '/server') return socket.close(4_001, 'from the device')
      socket.on('close', (code, reason) => heard.resolve(`${code} ${reason.toString()}`))
    })
    const peer = await agentFor(origin)
    const byDevice = connect(peer, '/server')
    assert.equal(await byDevice.closed, '4001 from the device')
    const byUser = connect(peer, '/user')
    await byUser.head
    byUser.stream.close(4_002, 'from the user')
    assert.equal(await heard.promise, '4002 from the user')
  })

  test('hands on a refusal, and says 502 where nobody listens', async () => {
    const origin = await socketServer(() => undefined)
    const peer = await agentFor(origin)
    const refused = await connect(peer, '/refused').head
    assert.deepEqual([refused.status, valueOf(refused.headers, 'x-why')], [403, 'not here'])
    const { server, origin: dead } = await httpServer(() => undefined)
    server.close()
    await once(server, 'close')
    const nobody = await connect(await agentFor(dead), '/').head
    assert.equal(nobody.status, 502)
  })

  test('ends with the user, and breaks off with the device', async () => {
    const opened: WebSocket[] = []
    const origin = await socketServer((socket) => opened.push(socket))
    const peer = await agentFor(origin)
    const lost = connect(peer, '/')
    await lost.head
    lost.stream.reset(RESET.cancelled)
    await until(() => opened[0]?.readyState === opened[0]?.CLOSED)
    const broken = connect(peer, '/')
    await broken.head
    opened[1]?.terminate()
    assert.equal(await broken.closed, `reset ${RESET.interrupted}`)
  })

  test('reads no more from the device than the user takes', async () => {
    let sent = 0
    const origin = await socketServer((socket) => {
      const more = () => {
        if (socket.readyState !== socket.OPEN || sent >= 64 * 1_048_576) return
        sent += 65_536
        socket.send(Buffer.alloc(65_536), () => more())
      }
      more()
    })
    const peer = await agentFor(origin)
    const stream = peer.open('/', { message: () => undefined }, { kind: 'websocket' })
    let last = -1
    while (sent !== last) {
      last = sent
      await sleep(200)
    }
    assert.ok(sent < 32 * 1_048_576, `${sent} bytes were read`)
    stream.reset(RESET.cancelled)
  })
})
