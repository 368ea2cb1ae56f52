/** What leaves for the device at the head of a request, and what its answer's head is judged by. */
import { randomFillSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { buildRequestHead } from '#src/core/request-headers.ts'
import type { RequestHead } from '#src/core/request-headers.ts'
import { traceOf } from '#src/core/request-trace.ts'
import type { Trace } from '#src/core/request-trace.ts'
import type { ResponseContext } from '#src/core/response-head.ts'
import type { Upstream } from '#src/core/upstream.ts'
import { portPrefix } from '#src/page/shim/addresses.ts'
import type { PagePlace } from '#src/page/shim/addresses.ts'
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
    prefix: toldPrefix(proxied),
    port: proxied.port,
    cookie: proxied.cookie,
    authorization: proxied.deviceAuthorization,
    // In a frame the address authorises, so that this header is the page's own.
    mayAuthorise: proxied.surface !== 'api',
    bodyLength,
    maxBytes: upstream.maxRequestHeader,
    // Dialect v1 is what it always was.
    traceparent: upstream.takesStreams && trace !== null ? trace.traceparent : '',
    subprotocols,
  })
}

export function answerContext(proxied: ProxyRequest, upstream: Upstream): ResponseContext {
  return {
    surface: proxied.surface,
    method: proxied.request.method!,
    place: placeOf(proxied, upstream),
  }
}

/** Where the page lies for the browser that shows it. */
export function placeOf(
  { prefix, port, host, record, surface }: ProxyRequest,
  upstream: Pick<Upstream, 'ports' | 'ownHosts'>,
): PagePlace {
  const publicPrefix = surface === 'own_origin' ? '' : `/c/${record.controllerId}`
  return { prefix, publicPrefix, port, ports: upstream.ports, hosts: upstream.ownHosts, pageHost: host }
}

/**
 * `X-Forwarded-Prefix`. Of a page in a frame the one without capability: it stays the same, so that what a device makes of
 * it may be kept, and is short; it is mapped to the address of the frame on the way back.
 */
function toldPrefix({ prefix, port, record, surface }: ProxyRequest): string {
  if (surface === 'own_origin') return portPrefix({ prefix }, port)
  return port === null ? `/c/${record.controllerId}` : ''
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
