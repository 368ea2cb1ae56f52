/** Passing a request on to one of our processes, untouched and unbuffered. */
import { Agent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
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

/** Connections to our processes, kept for the next request, but not as long as those keep them. */
export function createForwardAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256, timeout: 30_000 })
}

export interface Target {
  readonly host: string
  readonly port: number
}

/** Processes that could take a request, in the order to try them: the next one where a connection can't be opened. */
export interface Destination {
  readonly targets: readonly Target[]
  /** This one could not be reached. */
  unreachable?(target: Target): void
  /** A connection to this one is open, until the function answered is called. */
  opened?(target: Target): () => void
}

/** A proxy of the operator's stands in front, and what it says of the client's address goes on. */
export type Before = 'nobody' | 'proxy'

/** Header lines for the next hop, as they came: name, value, name, value. */
function forwardedHeaders(request: IncomingMessage, before: Before): string[] {
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
  const told = before === 'proxy' ? [request.headers['x-forwarded-for'] ?? []].flat() : []
  const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  kept.push('X-Forwarded-For', [...told, peer].join(', '))
  kept.push('X-Forwarded-Proto', 'http')
  if (request.headers.host) kept.push('X-Forwarded-Host', request.headers.host)
  return kept
}

/**
 * Streams the request to the first process that can be reached, and its answer back; an interrupted answer is never
 * passed off as a whole one. Once a connection is open nothing is repeated: the request may have been taken.
 */
export function forward(
  agent: Agent,
  request: IncomingMessage,
  response: ServerResponse,
  destination: Destination,
  before: Before = 'nobody',
): void {
  const headers = forwardedHeaders(request, before)
  const hasBody = 'content-length' in request.headers || 'transfer-encoding' in request.headers
  const expectsContinue = hasBody && /^100-continue$/i.test(request.headers.expect ?? '')
  if ('transfer-encoding' in request.headers) headers.push('Transfer-Encoding', 'chunked')
  if (expectsContinue) headers.push('Expect', '100-continue')
  let onward: ClientRequest | undefined
  const fail = () => {
    if (response.headersSent || response.destroyed) response.destroy()
    else refuse(response, appError('bad_gateway', { retryAfterMs: 1_000 }))
  }
  const attempt = (index: number) => {
    const target = destination.targets[index]
    if (!target) return fail()
    onward = httpRequest({
      agent,
      host: target.host,
      port: target.port,
      method: request.method,
      path: request.url,
      headers: headers as never,
      setDefaultHeaders: false,
    })
    onward.setNoDelay(true)
    let isConnected = false
    const connected = () => {
      isConnected = true
      if (!hasBody) onward!.end()
      else if (expectsContinue) awaitContinue(request, response, onward!)
      else sendBody(request, onward!)
    }
    onward.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', connected)
      else connected()
    })
    onward.once('response', (answer) => passAnswer(answer, response))
    onward.once('error', () => {
      if (isConnected || response.destroyed) return fail()
      destination.unreachable?.(target)
      attempt(index + 1)
    })
  }
  response.once('close', () => {
    if (!response.writableFinished) onward?.destroy()
  })
  request.once('error', () => onward?.destroy())
  attempt(0)
}

/** The body is asked for when the process behind asks for it; an answer instead ends both connections. */
function awaitContinue(request: IncomingMessage, response: ServerResponse, onward: ClientRequest): void {
  let isAsked = false
  onward.once('continue', () => {
    isAsked = true
    response.writeContinue()
    sendBody(request, onward)
  })
  onward.prependOnceListener('response', (answer) => {
    if (isAsked) return
    response.shouldKeepAlive = false
    answer.once('end', () => onward.destroy())
  })
  onward.flushHeaders()
}

function sendBody(request: IncomingMessage, onward: ClientRequest): void {
  request.once('end', () => {
    if (request.rawTrailers.length > 0) onward.addTrailers(pairs(request.rawTrailers))
  })
  request.pipe(onward)
}

function passAnswer(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode!, answer.statusMessage, answerHeaders(answer))
  // The head leaves now: an event stream may have nothing to say for a while.
  response.flushHeaders()
  answer.once('end', () => {
    if (answer.rawTrailers.length > 0) response.addTrailers(pairs(answer.rawTrailers))
  })
  answer.pipe(response)
  answer.once('error', () => response.destroy())
  answer.once('aborted', () => response.destroy())
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1]!] as [string, string]] : []))
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

/**
 * Passes an upgrade request on to the first process that can be reached; the byte pipe opens when it answers 101. After
 * any other answer the connection ends, and nothing more of this side gets through.
 */
export function forwardUpgrade(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  destination: Destination,
  before: Before = 'nobody',
): void {
  const lines = [`${request.method} ${request.url} HTTP/1.1`]
  const headers = forwardedHeaders(request, before)
  for (let index = 0; index < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`)
  lines.push('Connection: Upgrade', `Upgrade: ${request.headers.upgrade}`, '', '')
  socket.setNoDelay(true)
  let onward: Socket | undefined
  socket.once('error', () => onward?.destroy())
  socket.once('close', () => onward?.destroy())
  const attempt = (index: number) => {
    const target = destination.targets[index]
    if (!target) return refuseUpgrade(socket, appError('bad_gateway'))
    const opened = connect(target.port, target.host)
    onward = opened
    opened.setNoDelay(true)
    let isConnected = false
    opened.once('connect', () => {
      isConnected = true
      const closed = destination.opened?.(target)
      if (closed) opened.once('close', closed)
      opened.write(lines.join('\r\n'), 'latin1')
      opened.once('data', (answer) => {
        socket.write(answer)
        opened.pipe(socket)
        if (answer.toString('latin1', 0, 12) === 'HTTP/1.1 101') {
          if (head.length > 0) opened.write(head)
          socket.pipe(opened)
        } else opened.end()
      })
    })
    opened.once('error', () => {
      if (isConnected) {
        if (opened.bytesRead === 0 && socket.writable) refuseUpgrade(socket, appError('bad_gateway'))
        else socket.destroy()
      } else if (!socket.destroyed) {
        destination.unreachable?.(target)
        attempt(index + 1)
      }
    })
    opened.once('close', () => {
      if (isConnected) socket.end()
    })
  }
  attempt(0)
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
