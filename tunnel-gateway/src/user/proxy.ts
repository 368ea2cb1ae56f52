/** Carries one authorised request, or a WebSocket, to the controller and the answer back. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from '@wmoc/platform/log'
import type { Span, Tracing } from '@wmoc/platform/tracing'
import { AppError } from '@wmoc/platform/errors'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import { createBuckets } from '#src/core/buckets.ts'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import type { ResponseHead, Surface } from '#src/core/response-head.ts'
import type { Router, Upstream, UpstreamRequest, UpstreamStream } from '#src/core/upstream.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Answer } from './answer.ts'
import { announcedBody, collectBody, pipeBody, tooLarge, UserLeft } from './body.ts'
import { Exchange } from './exchange.ts'
import type { ExchangePorts } from './exchange.ts'
import { createLiveRequests } from './live.ts'
import type { LiveEntry, LiveRequests } from './live.ts'
import { answerContext, outgoingHead, traceFor } from './outgoing.ts'
import type { Principal } from './principal.ts'
import { sendAway, sendError, sendFailure, sendProblem } from './problem.ts'
import { beginLeg } from './request-spans.ts'
import { createTraffic } from './traffic.ts'
import { createUserSockets } from './user-sockets.ts'
import { WebSocketRelay } from './web-socket.ts'

export interface ProxyRequest {
  readonly request: IncomingMessage
  readonly response: Answer
  readonly principal: Principal
  readonly record: ControllerRecord
  /** Raw path and query for the device. */
  readonly path: string
  readonly surface: Surface
  /**
   * What comes before the paths of the device's main port in addresses that the user sees, without a slash at the end; ''
   * on an own origin. `portPrefix` (page/shim/addresses.ts) tells it for another port.
   */
  readonly prefix: string
  /** The device's port, where it is not the one that its page is served at. */
  readonly port: number | null
  /** `Authorization` for the device; null: what the user sent where that is meant for the device, else none. */
  readonly deviceAuthorization: string | null
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
  /** Null: nobody asked for traces. */
  readonly span: Span | null
  /** Name after value, in place of the request's own, where a layer asks the device for something else. */
  readonly requestHeaders?: readonly string[]
  readonly watcher?: DeviceWatcher
}

/** A layer that has to know more of an answer than what is written to the user. */
export interface DeviceWatcher {
  /** The request leaves for the device, as the layers further down made it. */
  opening(proxied: ProxyRequest, upstream: Upstream): void
  /** The device's head kept to the policy. An answer that was begun without this call is one of ours. */
  answered(head: ResponseHead): void
}

/** A sound handshake of a WebSocket. */
export interface UpgradeRequest extends ProxyRequest {
  readonly response: ServerResponse
  readonly socket: Socket
  /** What came after the head. */
  readonly head: Buffer
  readonly subprotocols: readonly string[]
}

export interface Proxy {
  /** Answers by itself. A promise only where something has to be waited for. */
  handle(request: ProxyRequest): void | Promise<void>
  /** The same for a WebSocket, which is refused by the request's response or goes on without it. */
  upgrade(request: UpgradeRequest): void | Promise<void>
  /** Ends the requests that `test` picks: their permission is gone. */
  endWhere(test: (live: LiveEntry) => boolean): void
  /** The shard leaves: event streams end between two events, WebSockets close; the rest goes on to its end. */
  leave(): void
  readonly live: Iterable<LiveEntry>
  /** The register of all that, for who answers without the proxy. */
  readonly register: LiveRequests
  readonly size: () => number
}

export interface ProxyOptions {
  readonly router: Router
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
  readonly tracing: Tracing | null
  readonly log: Logger
}

/** Longest silence in a body that the device would take as it comes. */
const BODY_IDLE_MS = 60_000

export function createProxy(options: ProxyOptions): Proxy {
  const { metrics, router, log } = options
  const live = createLiveRequests({ perUser: options.maxPerUser, perController: options.maxPerController })
  const traffic = createTraffic(metrics)
  const sockets = createUserSockets()
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

  /** False: it has been answered. */
  function admit(proxied: ProxyRequest, entry: Exchange | WebSocketRelay, now: number): boolean {
    const { record, response } = proxied
    const waitMs = rates.take(record.controllerId, rateOf(record), now)
    const refuse = (
      outcome: 'rate_limited' | 'shed',
      code: 'rate_limited' | 'overloaded',
      retryAfterMs: number,
    ) => entry.refuse(outcome, () => sendProblem(response, code, { retryAfterMs }))
    if (waitMs > 0) refuse('rate_limited', 'rate_limited', waitMs)
    else if (options.isShedding()) refuse('shed', 'overloaded', 5_000)
    else if (!live.enter(entry)) refuse('rate_limited', 'rate_limited', 1_000)
    return !entry.isOver
  }

  /** Goes on at once where the tunnel is known, which it mostly is. */
  function locate(
    proxied: ProxyRequest,
    entry: Exchange | WebSocketRelay,
    go: (upstream: Upstream) => void | Promise<void>,
  ): void | Promise<void> {
    const found = (upstream: Upstream | undefined) => {
      if (entry.isOver) return
      if (upstream === undefined) return entry.refuse('device_offline', () => sendOffline(proxied))
      const { port } = proxied
      if (port !== null && !upstream.ports.includes(port))
        return entry.refuse('refused', () =>
          sendProblem(proxied.response, 'not_found', { detail: portDetail(port, upstream) }),
        )
      return go(upstream)
    }
    const located = router.locate(proxied.record.controllerId)
    if (!(located instanceof Promise)) return found(located)
    return located.then(found, (error: unknown) =>
      entry.refuse('refused', () => sendError(proxied.response, error)),
    )
  }

  function handle(proxied: ProxyRequest): void | Promise<void> {
    // The user left while it was found out who that is.
    if (proxied.response.destroyed) return
    const startedAt = performance.now()
    const exchange = new Exchange(ports, proxied, startedAt)
    if (admit(proxied, exchange, startedAt))
      return locate(proxied, exchange, (upstream) => begin(proxied, exchange, upstream))
  }

  function upgrade(proxied: UpgradeRequest): void | Promise<void> {
    if (proxied.socket.destroyed) return
    const startedAt = performance.now()
    const relay = new WebSocketRelay(ports, sockets, proxied, startedAt)
    if (!admit(proxied, relay, startedAt)) return
    return locate(proxied, relay, (upstream) => {
      if (upstream.takesWebSockets) open(proxied, relay, upstream, 'websocket', null)
      else relay.refuse('not_supported', () => sendFailure(proxied.response, 'not_supported', false))
    })
  }

  function begin(proxied: ProxyRequest, exchange: Exchange, upstream: Upstream): void | Promise<void> {
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
    entry: Exchange | WebSocketRelay,
    upstream: Upstream,
    kind: UpstreamRequest['kind'],
    bodyLength: number | null,
  ): UpstreamStream | null {
    const { request, response, path } = proxied
    const leg = proxied.span === null ? null : beginLeg(options.tracing!, proxied.span, upstream)
    const trace = leg ?? traceFor(request, upstream)
    const subprotocols = kind === 'websocket' ? (request.headers['sec-websocket-protocol'] ?? '') : ''
    const head = outgoingHead(proxied, upstream, options.scheme, { bodyLength, subprotocols, trace })
    if (!head.ok) {
      leg?.end(head.code)
      const detail = tooLong(upstream.maxRequestHeader)
      entry.refuse('refused', () => sendProblem(response, head.code, { detail }))
      return null
    }
    proxied.watcher?.opening(proxied, upstream)
    entry.opening(answerContext(proxied, upstream), upstream.hop, trace?.traceId ?? '', leg)
    const { headers } = head
    const isLate = request.headers['sec-fetch-dest'] === 'image'
    const asked = { method: request.method!, path, headers, kind, bodyLength, isLate }
    const opened = upstream.open(asked, entry)
    if (typeof opened === 'string') {
      entry.refuse(opened, () => sendFailure(response, opened, options.isDraining()))
      return null
    }
    entry.opened(opened)
    return opened
  }

  function sendOffline({ response }: ProxyRequest): void {
    if (options.isDraining()) sendProblem(response, 'draining', { retryAfterMs: 1_000 })
    else sendAway(response)
  }

  return {
    handle,
    upgrade,
    endWhere(test) {
      for (const entry of live.all()) if (test(entry)) entry.revoke()
    },
    leave() {
      for (const entry of live.all()) entry.leave()
    },
    live: live.all(),
    register: live,
    size: () => live.size,
  }
}

function portDetail(port: number, { ports }: Upstream): string {
  const allowed = ports.length === 0 ? 'none' : ports.join(', ')
  return `The controller does not offer port ${port}; besides its page it offers: ${allowed}`
}

/** The figure of the tier a minute, of which a page may take a third at once. */
function rateOf(record: ControllerRecord) {
  const count = Math.max(1, record.requestsPerMinute)
  return { burst: Math.max(1, Math.ceil(count / 3)), count, periodMs: 60_000 }
}

function tooLong(maxBytes: number): string {
  return `The device takes request heads of at most ${maxBytes} bytes: clear its page’s cookies, or send a shorter address and fewer headers`
}
