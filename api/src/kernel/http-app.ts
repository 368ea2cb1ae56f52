/** The public listener: what every request meets before and after the routes. */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { limitKeyOfAddress, clientAddress } from '@wmoc/platform/client-address'
import { AppError, appError, toProblem } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import { isFramed, STRAYED_HEADERS, STRAYED_PAGE } from '@wmoc/platform/strayed-page'
import type { Tracing } from '@wmoc/platform/tracing'
import helmet from 'helmet'
import Koa from 'koa'
import type { Context, Middleware } from 'koa'
import { explainError } from './errors.ts'

export interface HttpAppOptions {
  readonly publicUrl: string
  readonly corsOrigins: readonly string[]
  readonly trustedHops: number
  readonly log: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing | null
  readonly isDraining: () => boolean
  /** Answered before the routes: the API reference. */
  readonly docs: Middleware
  readonly routes: Middleware
}

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']
const CORS_HEADERS = 'authorization, content-type, idempotency-key, if-match, last-event-id'
const EXPOSED_HEADERS =
  'etag, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, x-request-id'

/** A server for `server.listen`. Requests have 30 s to arrive; then Node answers 408. */
export function createHttpServer(options: HttpAppOptions): Server {
  const app = new Koa()
  app.silent = true
  app.use(observe(options))
  if (options.tracing !== null) app.use(traced(options.tracing))
  app.use(problems(options.log))
  app.use(securityHeaders())
  app.use(strayed())
  app.use(cors(options))
  app.use(refuseForeignWrites(options))
  app.use(options.docs)
  app.use(options.routes)
  const handle = app.callback()
  return createServer(
    {
      requestTimeout: 30_000,
      headersTimeout: 10_000,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 2_000,
      maxHeaderSize: 16_384,
    },
    (request, response) => void handle(request, response),
  )
}

/** Request id, client address, access log, duration metric. Paths are logged as templates only. */
function observe({ trustedHops, log, metrics, isDraining }: HttpAppOptions): Middleware {
  const seconds = metrics.histogram('wmoc_api_http_request_seconds', 'Duration of requests', {
    labelNames: ['route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  })
  return async (context, next) => {
    const started = performance.now()
    context.state['requestId'] = uuidv7()
    context.state['remoteAddress'] = clientAddress(
      context.req.socket.remoteAddress,
      context.req.headers['x-forwarded-for'],
      trustedHops,
    )
    context.set('x-request-id', String(context.state['requestId']))
    context.set('cache-control', 'no-store')
    if (isDraining()) context.set('connection', 'close')
    await next()
    const route = String(context.state['route'] ?? 'none')
    const elapsedMs = performance.now() - started
    if (context.respond !== false)
      seconds.observe({ route, status: String(context.status) }, elapsedMs / 1_000)
    log.info('http', `${context.method} ${route} ${context.status}`, {
      ms: Math.round(elapsedMs),
      request_id: context.state['requestId'],
      user_id: context.state['userId'],
      client: limitKeyOfAddress(String(context.state['remoteAddress'])),
    })
  }
}

/** A span for each request, named by its route; what the database is asked for it belongs to it. */
function traced(tracing: Tracing): Middleware {
  return async (context, next) => {
    const { method } = context
    const parent = context.get('traceparent')
    const attributes = { 'http.request.method': method }
    const span = tracing.start(method, { kind: 'server', parent, attributes })
    await tracing.within(span, next)
    const route = String(context.state['route'] ?? 'none')
    span.rename(`${method} ${route}`)
    span.set({ 'wmoc.route': route, 'http.response.status_code': context.status })
    span.end(context.status >= 500 ? String(context.status) : undefined)
  }
}

/** Every failure becomes problem+json; what was not expected is logged with its stack and told to nobody. */
function problems(log: Logger): Middleware {
  return async (context, next) => {
    try {
      await next()
    } catch (thrown) {
      const error = explainError(thrown)
      const requestId = String(context.state['requestId'])
      const problem = toProblem(error, requestId)
      if (!(error instanceof AppError)) {
        log.error('http', 'a request failed unexpectedly', {
          error,
          request_id: requestId,
          route: context.state['route'],
        })
      } else if (problem.status === 503) {
        log.warn('http', `answered ${error.code}`, { request_id: requestId, cause: error.cause })
      }
      if (context.res.headersSent) {
        context.res.destroy()
        return
      }
      context.status = problem.status
      context.set({ ...problem.headers })
      if (problem.status === 401) context.set('www-authenticate', 'Bearer')
      if (!context.req.complete) context.set('connection', 'close')
      context.body = JSON.stringify(problem.body)
    }
  }
}

/** An API answers no pages: nothing may run, frame or be sniffed. The reference sets its own policy. */
function securityHeaders(): Middleware {
  const set = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    // The ingress in front knows whether there is TLS.
    strictTransportSecurity: false,
  })
  return async (context, next) => {
    await new Promise<void>((resolve, reject) => {
      set(context.req, context.res, (error) => (error ? reject(toError(error)) : resolve()))
    })
    await next()
  }
}

/** A device's page in the portal's frame that went to a path of ours. */
function strayed(): Middleware {
  return async (context, next) => {
    if (!isFramed(context.headers['sec-fetch-dest']) || !['GET', 'HEAD'].includes(context.method)) {
      await next()
      return
    }
    context.remove('x-frame-options')
    context.set({ ...STRAYED_HEADERS })
    context.body = STRAYED_PAGE
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/** Listed origins may call with a Bearer token; cookies are never theirs. */
function cors({ corsOrigins }: HttpAppOptions): Middleware {
  return async (context, next) => {
    context.vary('Origin')
    const origin = context.get('origin')
    if (origin === '' || !corsOrigins.includes(origin)) {
      await next()
      return
    }
    context.set('access-control-allow-origin', origin)
    context.set('access-control-expose-headers', EXPOSED_HEADERS)
    context.set('cross-origin-resource-policy', 'cross-origin')
    if (context.method !== 'OPTIONS' || context.get('access-control-request-method') === '') {
      await next()
      return
    }
    context.set('access-control-allow-methods', 'GET, HEAD, POST, PUT, PATCH, DELETE')
    context.set('access-control-allow-headers', CORS_HEADERS)
    context.set('access-control-max-age', '600')
    context.status = 204
  }
}

/**
 * Cross-site request forgery: what changes something must come from our own page, a listed origin, or no browser at
 * all. Browsers say so by `Sec-Fetch-Site` (W3C Fetch Metadata), older ones by `Origin`.
 */
function refuseForeignWrites({ publicUrl, corsOrigins }: HttpAppOptions): Middleware {
  const own = new URL(publicUrl).origin
  const isForeign = (context: Context): boolean => {
    const origin = context.get('origin')
    if (origin !== '') return origin !== own && !corsOrigins.includes(origin)
    return !['', 'same-origin', 'none'].includes(context.get('sec-fetch-site'))
  }
  return async (context, next) => {
    if (!SAFE_METHODS.includes(context.method) && isForeign(context)) throw appError('csrf_rejected')
    await next()
  }
}
