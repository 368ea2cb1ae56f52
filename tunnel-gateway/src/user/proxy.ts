/** Carries one authorised request, or a WebSocket, to the controller and the answer back. */
import { randomFillSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '@wmoc/platform/log'
import { AppError } from '@wmoc/platform/errors'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import { createBuckets } from '#src/core/buckets.ts'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import { buildRequestHead } from '#src/core/request-headers.ts'
import type { RequestHead } from '#src/core/request-headers.ts'
import { traceOf } from '#src/core/request-trace.ts'
import type { Trace } from '#src/core/request-trace.ts'
import type { ResponseContext, Surface } from '#src/core/response-head.ts'
import type { Router, Upstream, UpstreamStream } from '#src/core/upstream.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import { announcedBody, collectBody, pipeBody, tooLarge, UserLeft } from './body.ts'
import { Exchange } from './exchange.ts'
import type { ExchangePorts } from './exchange.ts'
import { createLiveRequests } from './live.ts'
import type { LiveEntry } from './live.ts'
import type { Principal } from './principal.ts'
import { sendError, sendFailure, sendOfflinePage, sendProblem } from './problem.ts'
import { createTraffic } from './traffic.ts'
import type { Outcome } from './traffic.ts'

export interface ProxyRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly principal: Principal
  readonly record: ControllerRecord
  /** Raw path and query for the device. */
  readonly path: string
  readonly surface: Surface
  readonly host: string
  readonly clientAddress: string
  readonly cookie: string
  readonly isNavigation: boolean
  /** Headers of ours on the response, name after value. */
  readonly extraHeaders: readonly string[]
  /** `Set-Cookie` values where the user keeps no cookies. */
  keepCookies?(values: readonly string[]): void
  /** The user waits for a 100 before sending the body. */
  readonly expectsContinue: boolean
}

export interface Proxy {
  /** Answers by itself. A promise only where something has to be waited for. */
  handle(request: ProxyRequest): void | Promise<void>
  /** Ends the requests that `test` picks: their permission is gone. */
  endWhere(test: (live: LiveEntry) => boolean): void
  /** The shard leaves: event streams end between two events, WebSockets close; the rest goes on to its end. */
  leave(): void
  readonly live: Iterable<LiveEntry>
  readonly size: () => number
}

export interface ProxyOptions {
  readonly router: Router
  lastSeenAt(controllerId: string): number | null
  isDraining(): boolean
  readonly scheme: 'http' | 'https'
  /** Bytes of bodies that may be held for all users together. */
  readonly bodies: ByteBudget
  /** Time for a body that is collected. */
  readonly bodyTimeoutMs: number
  /** Requests and WebSockets that one user, and one controller, may have under way. */
  readonly maxPerUser: number
  readonly maxPerController: number
  /** Too little memory to take more on. */
  readonly isShedding: () => boolean
  readonly metrics: GatewayMetrics
  readonly log: Logger
}

const OFFLINE_RETRY_MS = 5_000
/** Longest silence in a body that the device would take as it comes. */
const BODY_IDLE_MS = 60_000

export function createProxy(options: ProxyOptions): Proxy {
  const { metrics, router, log } = options
  const live = createLiveRequests({ perUser: options.maxPerUser, perController: options.maxPerController })
  const traffic = createTraffic(metrics)
  // The shard that a user's requests arrive at counts them by itself.
  const rates = createBuckets(100_000)
  const ports: ExchangePorts = {
    live,
    traffic,
    isDraining: () => options.isDraining(),
    violation(controllerId, reason) {
      metrics.badResponses.inc({ reason })
      log.debug('proxy', 'the device broke the header policy', { controllerId, reason })
    },
    ended: (controllerId, outcome) => log.debug('proxy', 'request failed', { controllerId, outcome }),
  }

  function handle(proxied: ProxyRequest): void | Promise<void> {
    const startedAt = performance.now()
    const { record, response } = proxied
    const exchange = new Exchange(ports, proxied, startedAt)
    const refuse = (outcome: Outcome, code: 'rate_limited' | 'overloaded', retryAfterMs: number) =>
      exchange.refuse(outcome, () => sendProblem(response, code, { retryAfterMs }))
    const waitMs = rates.take(record.controllerId, rateOf(record), startedAt)
    if (waitMs > 0) return refuse('rate_limited', 'rate_limited', waitMs)
    if (options.isShedding()) return refuse('shed', 'overloaded', 5_000)
    if (!live.enter(exchange)) return refuse('rate_limited', 'rate_limited', 1_000)
    const located = router.locate(record.controllerId)
    if (!(located instanceof Promise)) return begin(proxied, exchange, located)
    return located.then(
      (upstream) => begin(proxied, exchange, upstream),
      (error: unknown) => exchange.refuse('refused', () => sendError(response, error)),
    )
  }

  function begin(
    proxied: ProxyRequest,
    exchange: Exchange,
    upstream: Upstream | undefined,
  ): void | Promise<void> {
    if (exchange.isOver) return
    if (upstream === undefined) return exchange.refuse('device_offline', () => sendOffline(proxied))
    const body = announcedBody(proxied.request)
    if (!body.hasBody) {
      open(proxied, exchange, upstream, 'bodiless', body.length)
    } else if ((body.length ?? 0) > upstream.maxRequestBody) {
      const error = tooLarge(upstream.maxRequestBody)
      exchange.refuse('refused', () => sendError(proxied.response, error))
    } else if (upstream.takesStreams) stream(proxied, exchange, upstream, body.length)
    else return collect(proxied, exchange, upstream)
  }

  function stream(
    proxied: ProxyRequest,
    exchange: Exchange,
    upstream: Upstream,
    length: number | null,
  ): void {
    const { request, response } = proxied
    const opened = open(proxied, exchange, upstream, 'body', length)
    if (opened === null || exchange.isOver) return
    if (proxied.expectsContinue) response.writeContinue()
    const refuse = (error: Error) => exchange.refuse('refused', () => sendError(response, error))
    exchange.sending(
      pipeBody(request, opened, {
        maxBytes: upstream.maxRequestBody,
        idleMs: Math.min(BODY_IDLE_MS, options.bodyTimeoutMs),
        onBytes: traffic.toDevice,
        onTooLarge: () => refuse(tooLarge(upstream.maxRequestBody)),
        onStalled: () => refuse(new AppError('request_timeout')),
      }),
    )
  }

  async function collect(proxied: ProxyRequest, exchange: Exchange, upstream: Upstream): Promise<void> {
    const { request, response, record } = proxied
    let taken = 0
    try {
      const body = await collectBody(request, {
        maxBytes: upstream.maxRequestBody,
        timeoutMs: options.bodyTimeoutMs,
        budget: options.bodies,
        onTaken: (bytes) => {
          if (taken === 0) response.once('close', () => options.bodies.give(taken))
          taken += bytes
        },
        allow: () => proxied.expectsContinue && response.writeContinue(),
      })
      // The device may have gone, or come anew, while the body arrived.
      const present = await router.locate(record.controllerId)
      if (exchange.isOver) return
      if (present === undefined) return exchange.refuse('device_offline', () => sendOffline(proxied))
      const opened = open(proxied, exchange, present, 'body', body.length)
      opened?.write(body)
      opened?.end()
      traffic.toDevice(body.length)
    } catch (error) {
      if (error instanceof UserLeft) return
      exchange.refuse('refused', () => sendError(response, error))
    }
  }

  /** Null: the user has been answered. */
  function open(
    proxied: ProxyRequest,
    exchange: Exchange,
    upstream: Upstream,
    kind: 'bodiless' | 'body',
    bodyLength: number | null,
  ): UpstreamStream | null {
    const { request, response, path } = proxied
    const trace = traceFor(request, upstream)
    const head = requestHead(proxied, upstream, trace, bodyLength)
    if (!head.ok) {
      exchange.refuse('refused', () => sendProblem(response, head.code))
      return null
    }
    exchange.opening(contextOf(proxied, upstream), upstream.hop, trace?.traceId ?? '')
    const opened = upstream.open(
      { method: request.method!, path, headers: head.headers, kind, bodyLength },
      exchange,
    )
    if (typeof opened === 'string') {
      exchange.refuse(opened, () => sendFailure(response, opened, options.isDraining()))
      return null
    }
    exchange.opened(opened)
    return opened
  }

  function requestHead(
    proxied: ProxyRequest,
    upstream: Upstream,
    trace: Trace | null,
    bodyLength: number | null,
  ): RequestHead {
    return buildRequestHead(proxied.request.rawHeaders, {
      method: proxied.request.method!,
      path: proxied.path,
      clientAddress: proxied.clientAddress,
      scheme: options.scheme,
      host: proxied.host,
      prefix: prefixOf(proxied),
      cookie: proxied.cookie,
      mayAuthorise: proxied.surface === 'own_origin',
      bodyLength,
      maxBytes: upstream.maxRequestHeader,
      traceparent: upstream.takesStreams && trace !== null ? trace.traceparent : '',
      subprotocols: '',
    })
  }

  function contextOf(proxied: ProxyRequest, upstream: Upstream): ResponseContext {
    const publicOrigin = `${options.scheme}://${proxied.host}`
    return {
      surface: proxied.surface,
      method: proxied.request.method!,
      device: { ownHosts: upstream.ownHosts, publicOrigin, prefix: prefixOf(proxied) },
    }
  }

  function sendOffline({ response, request, isNavigation, record }: ProxyRequest): void {
    if (options.isDraining()) return sendProblem(response, 'draining', { retryAfterMs: 1_000 })
    if (!isNavigation) return sendProblem(response, 'device_offline', { retryAfterMs: OFFLINE_RETRY_MS })
    sendOfflinePage(response, request.headers['accept-language'], options.lastSeenAt(record.controllerId))
  }

  return {
    handle,
    endWhere(test) {
      for (const entry of live.all()) if (test(entry)) entry.revoke()
    },
    leave() {
      for (const entry of live.all()) entry.leave()
    },
    live: live.all(),
    size: () => live.size,
  }
}

function prefixOf({ surface, record }: ProxyRequest): string {
  return surface === 'api' ? `/c/${record.controllerId}` : ''
}

/** The figure of the tier a minute, of which a page may take a third at once. */
function rateOf(record: ControllerRecord) {
  const count = Math.max(1, record.requestsPerMinute)
  return { burst: Math.max(1, Math.ceil(count / 3)), count, periodMs: 60_000 }
}

const RANDOM_BYTES = 24
const pool = Buffer.alloc(RANDOM_BYTES * 256)
let poolAt = pool.length

/** A trace where there is one to go on with, or where somebody further on could use it. */
function traceFor(request: IncomingMessage, upstream: Upstream): Trace | null {
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
