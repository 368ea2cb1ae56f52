/** What leaves for the device at the head of a request, and what its answer's head is judged by. */
import { randomFillSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { buildRequestHead } from '#src/core/request-headers.ts'
import type { RequestHead } from '#src/core/request-headers.ts'
import { traceOf } from '#src/core/request-trace.ts'
import type { Trace } from '#src/core/request-trace.ts'
import type { ResponseContext } from '#src/core/response-head.ts'
import type { Upstream } from '#src/core/upstream.ts'
import type { ProxyRequest } from './proxy.ts'

export interface OutgoingDetails {
  /** Of the body; null: there is none, or nobody knows. */
  readonly bodyLength: number | null
  /** What a WebSocket offers; empty for everything else. */
  readonly subprotocols: string
  readonly trace: Trace | null
}

/** The request's headers as the device is to see them, name after value. */
export function headersOf(proxied: ProxyRequest): readonly string[] {
  return proxied.requestHeaders ?? proxied.request.rawHeaders
}

/** The head as the device gets it. */
export function outgoingHead(
  proxied: ProxyRequest,
  upstream: Upstream,
  scheme: 'http' | 'https',
  { bodyLength, subprotocols, trace }: OutgoingDetails,
): RequestHead {
  return buildRequestHead(headersOf(proxied), {
    method: proxied.request.method!,
    path: proxied.path,
    clientAddress: proxied.clientAddress,
    scheme,
    host: proxied.host,
    prefix: proxied.prefix,
    cookie: proxied.cookie,
    authorization: proxied.deviceAuthorization,
    mayAuthorise: proxied.surface === 'own_origin',
    bodyLength,
    maxBytes: upstream.maxRequestHeader,
    // Dialect v1 is what it always was.
    traceparent: upstream.takesStreams && trace !== null ? trace.traceparent : '',
    subprotocols,
  })
}

export function answerContext(
  proxied: ProxyRequest,
  upstream: Upstream,
  scheme: 'http' | 'https',
): ResponseContext {
  const publicOrigin = `${scheme}://${proxied.host}`
  return {
    surface: proxied.surface,
    method: proxied.request.method!,
    device: { ownHosts: upstream.ownHosts, publicOrigin, prefix: proxied.prefix },
  }
}

const RANDOM_BYTES = 24
const pool = Buffer.alloc(RANDOM_BYTES * 256)
let poolAt = pool.length

/** A trace where there is one to go on with, or where somebody further on could use it. */
export function traceFor(request: IncomingMessage, upstream: Upstream): Trace | null {
  const given = request.headers['traceparent']
  if (given === undefined && !upstream.takesStreams) return null
  if (poolAt === pool.length) {
    randomFillSync(pool)
    poolAt = 0
  }
  poolAt += RANDOM_BYTES
  const random = pool.toString('hex', poolAt - RANDOM_BYTES, poolAt)
  return traceOf(typeof given === 'string' ? given : undefined, random)
}
