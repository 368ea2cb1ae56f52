/** Passing a request on to one of our processes, untouched and unbuffered. */
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { appError, toProblem } from '@wmoc/platform/errors'

/** Of this hop only (RFC 9110 7.6.1), and what only we may say about where a request came from. */
const OWN = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'forwarded',
  'via',
  'x-real-ip',
])

/** Connections to our processes, kept for the next request. */
export function createForwardAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 })
}

export interface Target {
  readonly host: string
  readonly port: number
}

/** Header lines for the next hop, as they came: name, value, name, value. */
function forwardedHeaders(request: IncomingMessage): string[] {
  const named = (request.headers.connection ?? '').toLowerCase().split(',')
  const dropped = new Set(named.map((name) => name.trim()))
  dropped.delete('host')
  dropped.delete('content-length')
  const kept: string[] = []
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index]!
    const lower = name.toLowerCase()
    if (OWN.has(lower) || dropped.has(lower) || lower.startsWith('x-forwarded-')) continue
    kept.push(name, request.rawHeaders[index + 1]!)
  }
  kept.push('X-Forwarded-For', (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''))
  kept.push('X-Forwarded-Proto', 'http')
  if (request.headers.host) kept.push('X-Forwarded-Host', request.headers.host)
  return kept
}

/** Streams the request to `target` and its answer back; an interrupted answer is never passed off as a whole one. */
export function forward(
  agent: Agent,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
): void {
  const headers = forwardedHeaders(request)
  const hasBody = 'content-length' in request.headers || 'transfer-encoding' in request.headers
  if ('transfer-encoding' in request.headers) headers.push('Transfer-Encoding', 'chunked')
  const onward = httpRequest({
    agent,
    ...target,
    method: request.method,
    path: request.url,
    headers: headers as never,
    setDefaultHeaders: false,
  })
  onward.setNoDelay(true)
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode!, answer.statusMessage, answerHeaders(answer))
    // The head leaves now: an event stream may have nothing to say for a while.
    response.flushHeaders()
    answer.pipe(response)
    answer.once('error', () => response.destroy())
    answer.once('aborted', () => response.destroy())
  })
  onward.once('error', () => {
    if (response.headersSent || response.destroyed) response.destroy()
    else refuse(response, appError('bad_gateway', { retryAfterMs: 1_000 }))
  })
  response.once('close', () => {
    if (!response.writableFinished) onward.destroy()
  })
  if (hasBody) {
    request.pipe(onward)
    request.once('error', () => onward.destroy())
  } else onward.end()
}

/** Everything but this hop's own; `Date` and repeated lines stay as they were. */
function answerHeaders(answer: IncomingMessage): string[] {
  const kept: string[] = []
  for (let index = 0; index < answer.rawHeaders.length; index += 2) {
    const lower = answer.rawHeaders[index]!.toLowerCase()
    if (lower === 'connection' || lower === 'keep-alive' || lower === 'transfer-encoding') continue
    kept.push(answer.rawHeaders[index]!, answer.rawHeaders[index + 1]!)
  }
  return kept
}

/** Answers an error as problem+json and closes where the request's body is still on its way. */
export function refuse(response: ServerResponse, error: unknown, headers: Record<string, string> = {}): void {
  const problem = toProblem(error)
  response.writeHead(problem.status, { ...problem.headers, ...headers })
  response.end(JSON.stringify(problem.body))
}

/** Opens the byte pipe of an upgrade request: the other process answers it and decides. */
export function forwardUpgrade(request: IncomingMessage, socket: Socket, head: Buffer, target: Target): void {
  const onward = connect(target.port, target.host)
  onward.setNoDelay(true)
  socket.setNoDelay(true)
  const lines = [`${request.method} ${request.url} HTTP/1.1`]
  const headers = forwardedHeaders(request)
  for (let index = 0; index < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`)
  lines.push('Connection: Upgrade', `Upgrade: ${request.headers.upgrade}`, '', '')
  onward.once('connect', () => {
    onward.write(lines.join('\r\n'), 'latin1')
    if (head.length > 0) onward.write(head)
    socket.pipe(onward).pipe(socket)
  })
  onward.once('error', () => {
    if (onward.bytesRead === 0 && socket.writable) refuseUpgrade(socket, appError('bad_gateway'))
    else socket.destroy()
  })
  socket.once('error', () => onward.destroy())
  socket.once('close', () => onward.destroy())
  onward.once('close', () => socket.end())
}

/** Answers an upgrade request with an error and closes. */
export function refuseUpgrade(socket: Socket, error: unknown): void {
  const problem = toProblem(error)
  const body = JSON.stringify(problem.body)
  const headers = {
    ...problem.headers,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${problem.status} Refused\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
}
