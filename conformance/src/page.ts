/**
 * The conformance page: what a device serves under `/conformance/` so that the kit can judge what comes back. As an HTTP
 * server, to stand behind an agent (`--serve`) and to be read by whoever puts the same into a firmware.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer, type WebSocket } from 'ws'
import { pattern } from './pattern.ts'

const ROOT = '/conformance/'
const PIECE = 16_384
const NO_BODY = new Set([204, 304])

export interface Page {
  readonly port: number
  readonly url: string
  stop(): Promise<void>
}

/** Listens on `port` of 127.0.0.1; 0: any. */
export async function startPage(port = 0): Promise<Page> {
  /** Keys of requests whose user went away before the answer was whole. */
  const aborted = new Set<string>()
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 4_194_304,
    handleProtocols: chooseProtocol,
  })
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://page')
    const key = url.searchParams.get('key')
    response.on('close', () => key && !response.writableFinished && aborted.add(key))
    response.on('error', () => undefined)
    answer(request, response, url, aborted).catch(() => response.destroy())
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (new URL(request.url ?? '/', 'http://page').pathname === `${ROOT}socket`)
      sockets.handleUpgrade(request, socket, head, serveSocket)
    else socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\nconnection: close\r\n\r\nrefused')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: taken } = server.address() as AddressInfo
  return {
    port: taken,
    url: `http://127.0.0.1:${taken}`,
    async stop() {
      for (const client of sockets.clients) client.terminate()
      server.closeAllConnections()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  aborted: ReadonlySet<string>,
): Promise<void> {
  const [name = '', argument = ''] = url.pathname.startsWith(ROOT)
    ? url.pathname.slice(ROOT.length).split('/')
    : ['?']
  const number = (field: string, otherwise: number) => Number(url.searchParams.get(field) ?? otherwise)
  switch (name) {
    case '':
      return whole(response, 200, { 'content-type': 'text/plain' }, 'wmoc conformance page 1')
    case 'echo':
      return echo(request, response)
    case 'headers':
      return json(response, request.headers)
    case 'status':
      return status(response, Number(argument))
    case 'fields':
      return whole(response, 200, manyFields(Number(argument), number('size', 1)), 'ok')
    case 'cookies':
      return whole(response, 200, { 'set-cookie': ['a=1; Path=/', 'b=2; Path=/'] }, 'ok')
    case 'bytes':
      return bytes(request, response, Number(argument))
    case 'digest':
      return json(response, await digestOf(request))
    case 'chunks':
      return chunks(response, Number(argument), number('size', 1), number('every', 0))
    case 'events':
      return events(response, Number(argument), number('every', 20))
    case 'slow':
      await sleep(number('ms', 200))
      return whole(response, 200, {}, 'slow')
    case 'early':
      return whole(response, 403, { connection: 'close' }, 'not wanted')
    case 'cut':
      return cut(response, Number(argument))
    case 'trailers':
      return trailers(request, response)
    case 'aborted':
      return json(response, { aborted: aborted.has(url.searchParams.get('of') ?? '') })
    default:
      return whole(response, 404, { 'content-type': 'text/plain' }, 'no such thing')
  }
}

type Headers = Record<string, string | string[]>

function whole(response: ServerResponse, code: number, headers: Headers, body: string | Buffer = ''): void {
  const bodyBytes = Buffer.from(body)
  response.writeHead(
    code,
    NO_BODY.has(code) ? headers : { ...headers, 'content-length': String(bodyBytes.length) },
  )
  response.end(bodyBytes)
}

function json(response: ServerResponse, value: unknown): void {
  whole(response, 200, { 'content-type': 'application/json' }, JSON.stringify(value))
}

/** `x-field-0` … with values of `size` letters. */
function manyFields(count: number, size: number): Headers {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-field-${at}`, 'v'.repeat(size)]))
}

/** The body as it came; method and raw target in headers. */
async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const length = request.headers['content-length']
  response.writeHead(200, {
    'content-type': request.headers['content-type'] ?? 'application/octet-stream',
    'x-method': request.method ?? '',
    'x-target': request.url ?? '',
    ...(length === undefined ? {} : { 'content-length': length }),
  })
  for await (const piece of request) if (!response.write(piece)) await once(response, 'drain')
  response.end()
}

function status(response: ServerResponse, code: number): void {
  const isRedirect = code >= 300 && code < 400 && code !== 304
  whole(
    response,
    code,
    isRedirect ? { location: `${ROOT}echo?moved=${code}` } : {},
    NO_BODY.has(code) ? '' : `${code}`,
  )
}

/** `N` octets of the pattern, with ETag and one range (RFC 9110 section 14). */
async function bytes(request: IncomingMessage, response: ServerResponse, length: number): Promise<void> {
  const etag = `"p${length}"`
  const headers: Headers = { 'content-type': 'application/octet-stream', etag, 'accept-ranges': 'bytes' }
  if (request.headers['if-none-match'] === etag) return whole(response, 304, { etag })
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '')
  let [from, to, code] = [0, length - 1, 200]
  if (range) {
    const [, first = '', last = ''] = range
    from = first === '' ? Math.max(0, length - Number(last)) : Number(first)
    to = first === '' || last === '' ? length - 1 : Math.min(Number(last), length - 1)
    if (from >= length) return whole(response, 416, { 'content-range': `bytes */${length}` })
    code = 206
    headers['content-range'] = `bytes ${from}-${to}/${length}`
  }
  headers['content-length'] = String(to - from + 1)
  response.writeHead(code, headers)
  if (request.method === 'HEAD') return void response.end()
  for (let at = from; at <= to; at += PIECE)
    if (!response.write(pattern(Math.min(PIECE, to + 1 - at), at))) await once(response, 'drain')
  response.end()
}

/** What came, without echoing it: number of octets and SHA-256. */
async function digestOf(request: IncomingMessage): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let length = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    hash.update(piece)
    length += piece.length
  }
  return { bytes: length, sha256: hash.digest('hex') }
}

/** `N` pieces of the pattern, each sent when it is made. */
async function chunks(response: ServerResponse, count: number, size: number, every: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  response.flushHeaders()
  for (let at = 0; at < count && !response.destroyed; at += 1) {
    if (!response.write(pattern(size, at * size))) await once(response, 'drain')
    if (every > 0) await sleep(every)
  }
  response.end()
}

/** Server-sent events with the data 0, 1, 2 …; 0: without end. */
async function events(response: ServerResponse, count: number, every: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const end = count === 0 ? Infinity : count
  for (let at = 0; at < end && !response.destroyed; at += 1) {
    response.write(`id: ${at}\ndata: ${at}\n\n`)
    await sleep(every)
  }
  response.end()
}

/** Promises `N` octets, sends half and breaks off. */
function cut(response: ServerResponse, length: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': String(length) })
  response.write(pattern(Math.floor(length / 2)), () => setTimeout(() => response.destroy(), 50))
}

/** Answers with the trailers that came, and sends one of its own. */
async function trailers(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { bytes: length } = await digestOf(request)
  response.writeHead(200, { 'content-type': 'application/json', trailer: 'x-checksum' })
  response.write(JSON.stringify({ bytes: length, trailers: request.trailers }))
  response.addTrailers({ 'x-checksum': 'c0ffee' })
  response.end()
}

function chooseProtocol(offered: Set<string>): string | false {
  return offered.has('conformance') && 'conformance'
}

/** Sends every message back; the text `close 4001` closes with that code, `count 50` sends 0 … 49. */
function serveSocket(socket: WebSocket): void {
  socket.on('error', () => undefined)
  socket.on('message', (data: Buffer, isBinary) => {
    const text = isBinary ? '' : data.toString()
    const [word, number] = text.split(' ')
    if (word === 'close') socket.close(Number(number), 'asked')
    else if (word === 'count') for (let at = 0; at < Number(number); at += 1) socket.send(String(at))
    else socket.send(data, { binary: isBinary })
  })
}
