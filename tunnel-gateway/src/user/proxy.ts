/** Carries one authorised request through the controller's tunnel and the answer back. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '@wmoc/platform/log'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import { createBuckets } from '#src/core/buckets.ts'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import { buildRequestHead } from '#src/core/request-headers.ts'
import type { Surface } from '#src/core/response-head.ts'
import type { StreamFailure, Upstream } from '#src/core/upstream.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import { collectBody, UserLeft } from './body.ts'
import type { Principal } from './principal.ts'
import { sendError, sendOfflinePage, sendProblem } from './problem.ts'
import { createResponseWriter } from './response-writer.ts'
import type { Outcome } from './response-writer.ts'

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
  handle(request: ProxyRequest): Promise<void>
  /** Ends the requests that `test` picks: their permission is gone. */
  endWhere(test: (live: { principal: Principal; controllerId: string }) => boolean): void
  readonly live: Iterable<{ readonly principal: Principal; readonly controllerId: string }>
}

export interface ProxyOptions {
  find(controllerId: string): Upstream | undefined
  lastSeenAt(controllerId: string): number | null
  isDraining(): boolean
  readonly scheme: 'http' | 'https'
  /** Bytes of bodies that may be held for all users together. */
  readonly bodies: ByteBudget
  /** Too little memory to take more on. */
  readonly isShedding: () => boolean
  readonly metrics: GatewayMetrics
  readonly log: Logger
}

interface Live {
  readonly principal: Principal
  readonly controllerId: string
  end(): void
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const OFFLINE_RETRY_MS = 5_000

export function createProxy(options: ProxyOptions): Proxy {
  const { metrics } = options
  const live = new Set<Live>()
  // The shard that holds the tunnel sees all of a controller's requests, so it can count them by itself.
  const rates = createBuckets(100_000)

  async function handle(proxied: ProxyRequest): Promise<void> {
    const startedAt = performance.now()
    const { request, response, record } = proxied
    const waitMs = rates.take(record.controllerId, rateOf(record), startedAt)
    if (waitMs > 0) return sendProblem(response, 'rate_limited', { retryAfterMs: waitMs })
    if (options.isShedding()) return sendProblem(response, 'overloaded', { retryAfterMs: 5_000 })
    const upstream = options.find(record.controllerId)
    if (upstream === undefined) {
      count(proxied, startedAt, 'device_offline')
      return sendOffline(proxied)
    }
    let taken = 0
    try {
      const body = await collectBody(request, {
        maxBytes: upstream.maxRequestBody,
        budget: options.bodies,
        onTaken: (bytes) => {
          if (taken === 0) response.once('close', () => options.bodies.give(taken))
          taken += bytes
        },
        allow: () => proxied.expectsContinue && response.writeContinue(),
      })
      // The device may have gone, or come anew, while the body arrived.
      const present = options.find(record.controllerId)
      if (present === undefined) return sendOffline(proxied)
      forward(proxied, present, body, startedAt)
    } catch (error) {
      if (error instanceof UserLeft) return
      // What is left of the body is not read: the connection can't be used again.
      sendError(response, error, ['Connection', 'close'])
    }
  }

  function forward(
    proxied: ProxyRequest,
    upstream: Upstream,
    body: Uint8Array | null,
    startedAt: number,
  ): void {
    const { request, response, record, path, host, surface } = proxied
    const prefix = surface === 'api' ? `/c/${record.controllerId}` : ''
    const head = buildRequestHead(request.rawHeaders, {
      method: request.method!,
      path,
      clientAddress: proxied.clientAddress,
      scheme: options.scheme,
      host,
      prefix,
      cookie: proxied.cookie,
      mayAuthorise: surface === 'own_origin',
      bodyLength: body?.length ?? null,
      maxBytes: upstream.maxRequestHeader,
    })
    if (!head.ok) return sendProblem(response, head.code)

    let isOver = false
    const over = (outcome: Outcome) => {
      if (isOver) return
      isOver = true
      live.delete(entry)
      count(proxied, startedAt, outcome)
    }
    const sink = createResponseWriter({
      response,
      context: {
        surface,
        method: request.method!,
        device: { ownHosts: upstream.ownHosts, publicOrigin: `${options.scheme}://${host}`, prefix },
      },
      extraHeaders: proxied.extraHeaders,
      head(built) {
        if (built.setCookies.length > 0) proxied.keepCookies?.(built.setCookies)
      },
      violation(reason) {
        metrics.badResponses.inc({ reason })
        options.log.debug('proxy', 'the device broke the header policy', {
          controllerId: record.controllerId,
          reason,
        })
      },
      bytes: (size) => metrics.bytes.inc({ direction: 'from_device' }, size),
      done: () => over('ok'),
      failed(failure) {
        over(failure)
        fail(response, failure, options.isDraining())
      },
    })
    const opened = upstream.open(
      {
        method: request.method!,
        path,
        headers: head.headers,
        kind: body === null ? 'bodiless' : 'body',
        bodyLength: body?.length ?? null,
      },
      sink,
    )
    if (typeof opened === 'string') {
      count(proxied, startedAt, opened)
      return fail(response, opened, options.isDraining())
    }
    const entry: Live = {
      principal: proxied.principal,
      controllerId: record.controllerId,
      end() {
        opened.cancel()
        over('access_ended')
        fail(response, 'access_ended', false)
      },
    }
    live.add(entry)
    if (body !== null) {
      opened.write(body)
      opened.end()
    }
    metrics.bytes.inc({ direction: 'to_device' }, body?.length ?? 0)
    response.on('drain', () => opened.drained())
    response.once('close', () => {
      if (!isOver) opened.cancel()
      over('user_left')
    })
  }

  function sendOffline({ response, request, isNavigation, record }: ProxyRequest): void {
    if (options.isDraining()) return sendProblem(response, 'draining', { retryAfterMs: 1_000 })
    if (!isNavigation) return sendProblem(response, 'device_offline', { retryAfterMs: OFFLINE_RETRY_MS })
    sendOfflinePage(response, request.headers['accept-language'], options.lastSeenAt(record.controllerId))
  }

  function count(
    { request, response }: ProxyRequest,
    startedAt: number,
    outcome: Outcome | 'device_offline',
  ): void {
    const method = METHODS.has(request.method!) ? request.method! : 'other'
    const code = response.headersSent ? `${Math.floor(response.statusCode / 100)}xx` : 'none'
    metrics.requests.inc({ method, code, outcome, hop: 'local' })
    metrics.duration.observe({ outcome }, (performance.now() - startedAt) / 1_000)
  }

  return {
    handle,
    live,
    endWhere(test) {
      for (const entry of live) if (test(entry)) entry.end()
    },
  }
}

/** The figure of the tier a minute, of which a page may take a third at once. */
function rateOf(record: ControllerRecord) {
  const count = Math.max(1, record.requestsPerMinute)
  return { burst: Math.max(1, Math.ceil(count / 3)), count, periodMs: 60_000 }
}

/** An answer that has begun can only be cut, never ended as if it were whole. */
function fail(response: ServerResponse, failure: StreamFailure, isDraining: boolean): void {
  if (response.headersSent) {
    // HTTP/1.0 knows no chunks: there only a reset shows that something is missing.
    if (response.req.httpVersion === '1.0') response.socket?.resetAndDestroy()
    else response.destroy()
    return
  }
  switch (failure) {
    case 'overloaded':
      return sendProblem(response, 'overloaded', { retryAfterMs: 2_000 })
    case 'access_ended':
      return sendProblem(response, 'not_found')
    case 'slow_reader':
      response.destroy()
      return
    case 'device_disconnected':
      if (isDraining) return sendProblem(response, 'draining', { retryAfterMs: 1_000 })
      return sendProblem(response, failure)
    case 'not_supported':
      return sendProblem(response, 'not_implemented')
    default:
      return sendProblem(response, failure)
  }
}
