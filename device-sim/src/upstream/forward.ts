/** Stands in front of a real HTTP device: requests go on as they came, answers come back as they are. */
import { once } from 'node:events'
import http from 'node:http'
import { DEFAULT_CHUNK_BYTES } from '@wmoc/protocol/v1-body'
import type { DeviceRequest, RequestHandler, ResponseSink, SocketHandler } from '../device/handler.ts'
import { headerOf } from '../page/answer.ts'
import { FORWARDED_PORT, requestHeaders, responseHeaders } from './headers.ts'
import { forwardSocket } from './socket.ts'

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }
const CONNECT_TIMEOUT_MS = 10_000
const MAX_SOCKETS = 256

export type Forward = {
  handler: RequestHandler
  socketHandler: SocketHandler
  close(): void
}

/**
 * Forwards to `origin` (http://host:port). Bodies stream both ways in constant memory: each side is read no faster than
 * the other takes. Redirects are not followed; `Location` of the upstream's own address becomes a path. An upstream that
 * cannot be reached is 502 or 504, one that breaks off breaks the user's transfer. WebSockets pass through.
 * @param allowedPorts Of the same host: a request that asks for another (`x-forwarded-port`) is refused with 404.
 */
export function createForward(origin: string, allowedPorts: readonly number[] = []): Forward {
  const main = new URL(origin)
  if (main.protocol !== 'http:') throw new Error('--upstream must be http://host:port')
  const agent = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS })
  const byPort = new Map(allowedPorts.map((port) => [String(port), atPort(main, port)]))
  const targetOf = (request: DeviceRequest): URL | undefined => {
    const port = headerOf(request, FORWARDED_PORT)
    return port === null ? main : byPort.get(port)
  }
  const refusal = Buffer.from(
    `only these other ports are allowed here: ${[...byPort.keys()].join(', ') || 'none'}\n`,
  )
  return {
    handler(request, sink) {
      const target = targetOf(request)
      if (!target) return sink.whole(404, TEXT, refusal)
      return forward({ target, agent }, request, sink, true)
    },
    socketHandler(request, socket) {
      const target = targetOf(request)
      if (target) forwardSocket(target, request, socket)
      else socket.refuse(404, TEXT, refusal)
    },
    close: () => agent.destroy(),
  }
}

function atPort(origin: URL, port: number): URL {
  const url = new URL(origin)
  url.port = String(port)
  return url
}

type Upstream = { target: URL; agent: http.Agent }

function forward(
  upstream: Upstream,
  request: DeviceRequest,
  sink: ResponseSink,
  mayRetry: boolean,
): Promise<void> | undefined {
  const { target, agent } = upstream
  const { method, path, body, signal } = request
  const { headers, length } = requestHeaders(request.headers, {
    host: target.host,
    method,
    bodyLength: body.length,
  })
  const outgoing = http.request({
    agent,
    host: target.hostname.replace(/^\[|\]$/g, ''),
    port: target.port || 80,
    method,
    path,
    headers,
    setHost: false,
  })
  let isAnswered = false
  const leave = () => outgoing.destroy()
  signal.addEventListener('abort', leave, { once: true })
  outgoing.once('close', () => signal.removeEventListener('abort', leave))
  outgoing.once('socket', (socket) => socket.connecting && limitConnect(outgoing))
  outgoing.once('response', (response) => {
    isAnswered = true
    relay(request, response, sink, target.host)
  })
  outgoing.once('upgrade', (_, socket) => {
    socket.destroy()
    void sink.fail('upstream switched protocols unasked')
  })
  outgoing.once('error', (error: NodeJS.ErrnoException) => {
    if (signal.aborted || isAnswered) return
    if (mayRetry && isStale(outgoing, error) && isRepeatable(request)) {
      void forward(upstream, request, sink, false)
    } else void refuse(sink, error.code ?? 'error')
  })
  if (body.isEmpty) outgoing.end()
  else void upload(request, outgoing, length)
  return undefined
}

/** A kept-alive connection that the upstream closed in the same moment: nothing was answered. */
function isStale({ reusedSocket }: http.ClientRequest, { code }: NodeJS.ErrnoException): boolean {
  return reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
}

/** Asking twice is harmless. */
function isRepeatable({ method, body }: DeviceRequest): boolean {
  return body.isEmpty && (method === 'GET' || method === 'HEAD')
}

/** Only the way there is bounded here: how long the upstream may think is the gateway's to say. */
function limitConnect(outgoing: http.ClientRequest): void {
  const timer = setTimeout(() => {
    outgoing.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }))
  }, CONNECT_TIMEOUT_MS)
  outgoing.socket?.once('connect', () => clearTimeout(timer))
  outgoing.once('close', () => clearTimeout(timer))
}

async function upload({ body }: DeviceRequest, outgoing: http.ClientRequest, length: number | null) {
  let sent = 0
  try {
    for await (const piece of body) {
      sent += piece.length
      // What goes beyond the announced length would be read as the next request.
      if (length !== null && sent > length) throw new Error('longer than announced')
      if (outgoing.destroyed) return
      if (!outgoing.write(piece)) await once(outgoing, 'drain')
    }
    if (length !== null && sent < length) throw new Error('shorter than announced')
    // Only chunks have room for them (RFC 9112 section 7.1.2).
    if (length === null && body.trailers) outgoing.addTrailers(Object.entries(body.trailers).flatMap(pairsOf))
    outgoing.end()
  } catch (error) {
    outgoing.destroy(error instanceof Error ? error : new Error('upload'))
  }
}

/** One pair for each value of a field. */
function pairsOf([name, value]: [string, string | string[]]): [string, string][] {
  return [value].flat().map((one) => [name, one])
}

function refuse(sink: ResponseSink, code: string) {
  if (code === 'ETIMEDOUT') return sink.whole(504, TEXT, Buffer.from('upstream timed out\n'))
  // The parser's codes.
  const words = code.startsWith('HPE_') ? 'upstream speaks no HTTP' : 'upstream unreachable'
  return sink.whole(502, TEXT, Buffer.from(`${words}: ${code}\n`))
}

function relay(
  request: DeviceRequest,
  response: http.IncomingMessage,
  sink: ResponseSink,
  host: string,
): void {
  const status = response.statusCode ?? 502
  const headers = responseHeaders(response.rawHeaders, host)
  if (request.method === 'HEAD' || status === 204 || status === 304) {
    response.resume()
    return void sink.whole(status, headers)
  }
  response.on('error', () => sink.fail('upstream broke off'))
  const length = Number(response.headers['content-length'] ?? Number.NaN)
  // Dialect v1: one message for what fits one, the form that the simplest gateways know.
  if (!request.isLive && length <= DEFAULT_CHUNK_BYTES) return collect(response, status, headers, sink)
  void sink.begin(status, headers)
  response.on('data', (piece: Buffer) => {
    const room = sink.write(piece)
    if (!room) return
    response.pause()
    void room.then(() => response.resume())
  })
  response.on('end', () => {
    const { rawTrailers } = response
    void sink.end(rawTrailers.length > 0 ? responseHeaders(rawTrailers, host) : undefined)
  })
}

function collect(
  response: http.IncomingMessage,
  status: number,
  headers: ReturnType<typeof responseHeaders>,
  sink: ResponseSink,
): void {
  const pieces: Buffer[] = []
  response.on('data', (piece: Buffer) => pieces.push(piece))
  response.on('end', () => sink.whole(status, headers, Buffer.concat(pieces)))
}
