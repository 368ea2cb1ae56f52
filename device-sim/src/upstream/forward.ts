/** Stands in front of a real HTTP device: requests go on as they came, answers come back as they are. */
import http from 'node:http'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { DEFAULT_CHUNK_BYTES } from '@wmoc/protocol/v1-body'
import type { DeviceRequest, RequestHandler, ResponseSink } from '../device/exchange.ts'

/** Fields of one connection, not of the message (RFC 9110 section 7.6.1), and the framing that Node sets itself. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }
const CONNECT_TIMEOUT_MS = 10_000

export type Forward = { handler: RequestHandler; close(): void }

/**
 * Forwards to `origin` (http://host:port). Bodies stream in constant memory: the upstream is read no faster than the
 * tunnel takes. Redirects are not followed; `Location` of the upstream's own address becomes a path. An upstream that
 * cannot be reached is 502, one that breaks off breaks the user's transfer.
 */
export function createForward(origin: string, maxSockets = 32): Forward {
  const target = new URL(origin)
  if (target.protocol !== 'http:') throw new Error('--upstream must be http://host:port')
  const agent = new http.Agent({ keepAlive: true, maxSockets })

  async function handler(request: DeviceRequest, sink: ResponseSink): Promise<void> {
    let response: http.IncomingMessage
    try {
      response = await open({ target, agent, request })
    } catch (error) {
      if (request.signal.aborted) return
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'error'
      return sink.whole(502, TEXT, Buffer.from(`upstream unreachable: ${code}\n`))
    }
    try {
      await relay(request, response, sink, target)
    } catch {
      if (!request.signal.aborted) await sink.fail('upstream broke off')
    } finally {
      response.destroy()
    }
  }
  return { handler, close: () => agent.destroy() }
}

type Outgoing = { target: URL; agent: http.Agent; request: DeviceRequest }

async function open(outgoing: Outgoing): Promise<http.IncomingMessage> {
  try {
    return await attempt(outgoing)
  } catch (error) {
    // A kept-alive connection that the upstream closed in the same moment: nothing was answered, and reading twice is harmless.
    if (isStaleSocket(error) && ['GET', 'HEAD'].includes(outgoing.request.method)) return attempt(outgoing)
    throw error
  }
}

function attempt({ target, agent, request }: Outgoing): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
  const outgoing = http.request({
    agent,
    host: target.hostname.replace(/^\[|\]$/g, ''),
    port: target.port || 80,
    method: request.method,
    path: request.path,
    headers: requestHeaders(request, target),
    setHost: false,
    signal: request.signal,
    timeout: CONNECT_TIMEOUT_MS,
  })
  outgoing.once('response', resolve)
  outgoing.once('upgrade', (_, socket) => {
    socket.destroy()
    reject(new Error('upgrade'))
  })
  outgoing.once('error', (error) => reject(outgoing.reusedSocket ? staleSocket(error) : error))
  // The socket's own timeout also counts while the upstream thinks; only the way there is bounded here.
  outgoing.once('timeout', () => {
    if (outgoing.socket?.connecting)
      outgoing.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }))
  })
  outgoing.end(request.body)
  return promise
}

class StaleSocketError extends Error {}

function staleSocket(cause: Error): Error {
  const isReset = 'code' in cause && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE')
  return isReset ? new StaleSocketError('stale socket', { cause }) : cause
}

function isStaleSocket(error: unknown): boolean {
  return error instanceof StaleSocketError
}

function requestHeaders({ headers, body, method }: DeviceRequest, target: URL): HeaderBlock {
  const kept: HeaderBlock = {}
  let hasHost = false
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.has(lower) || lower === 'content-length' || lower === 'expect') continue
    if (lower === 'host') hasHost = true
    kept[name] = value
  }
  if (!hasHost) kept['Host'] = target.host
  const mayHaveBody = !['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE'].includes(method)
  if (body.length > 0 || mayHaveBody) kept['Content-Length'] = String(body.length)
  return kept
}

async function relay(
  request: DeviceRequest,
  response: http.IncomingMessage,
  sink: ResponseSink,
  target: URL,
): Promise<void> {
  const status = response.statusCode ?? 502
  const headers = responseHeaders(response.rawHeaders, target)
  const length = Number(response.headers['content-length'] ?? Number.NaN)
  const isBodiless = request.method === 'HEAD' || status === 204 || status === 304
  if (isBodiless) {
    response.resume()
    return sink.whole(status, headers)
  }
  // One message for what fits one: fewer frames, and the form that the simplest gateways know.
  if (length <= DEFAULT_CHUNK_BYTES) {
    return sink.whole(status, headers, await collect(response))
  }
  await sink.begin(status, headers)
  for await (const piece of pieces(response)) {
    if (request.signal.aborted) return
    await sink.write(piece)
  }
  await sink.end()
}

async function collect(response: http.IncomingMessage): Promise<Buffer> {
  const collected: Buffer[] = []
  for await (const piece of pieces(response)) collected.push(piece)
  return Buffer.concat(collected)
}

async function* pieces(response: http.IncomingMessage): AsyncGenerator<Buffer> {
  for await (const piece of response) if (Buffer.isBuffer(piece)) yield piece
}

/** Raw header lines as a block: names as they came, repeats as an array. */
function responseHeaders(rawHeaders: readonly string[], target: URL): HeaderBlock {
  const named = new Map<string, string[]>()
  const spelling = new Map<string, string>()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.has(lower)) continue
    const value = rawHeaders[at + 1] ?? ''
    const isAddress = lower === 'location' || lower === 'content-location'
    spelling.set(lower, spelling.get(lower) ?? name)
    named.set(lower, [...(named.get(lower) ?? []), isAddress ? withoutOwnOrigin(value, target) : value])
  }
  const block: HeaderBlock = {}
  for (const [lower, values] of named) {
    block[spelling.get(lower) ?? lower] = values.length === 1 ? (values[0] ?? '') : values
  }
  return block
}

function withoutOwnOrigin(location: string, target: URL): string {
  const prefix = `http://${target.host}/`
  return location.toLowerCase().startsWith(prefix) ? location.slice(prefix.length - 1) : location
}
