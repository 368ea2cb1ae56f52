/** The listener for operators only: health, readiness with each dependency, metrics. Never behind the ingress. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen } from './listen.ts'
import type { Metrics } from './metrics.ts'
import { OPEN_METRICS, openMetricsOf, wantsOpenMetrics } from './open-metrics.ts'

export interface AdminServer {
  start(): Promise<void>
  stop(): Promise<void>
  /** The bound port; 0 before `start`. */
  readonly port: number
}

export interface AdminServerOptions {
  readonly host: string
  readonly port: number
  readonly metrics: Metrics
  /** Rejects where the dependency cannot be used. All are asked in parallel, each bounded by `checkTimeoutMs`. */
  readonly checks: Readonly<Record<string, () => Promise<unknown>>>
  /** False takes the process out of rotation while it goes on serving: a drain. */
  readonly isReady?: () => boolean
  readonly checkTimeoutMs?: number
  /** Answers what the built-in paths don't; false: not found. */
  readonly extra?: (request: IncomingMessage, response: ServerResponse) => Promise<boolean> | boolean
}

/**
 * `GET /healthz`: 200 while the event loop runs. `GET /readyz`: 200 or 503 with `{ready, checks: {name: {ok, ms}}}`.
 * `GET /metrics`: Prometheus text format, or OpenMetrics for a scraper that asks for it.
 */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0]
    if (request.method === 'GET' && path === '/healthz') return sendJson(response, 200, { status: 'ok' })
    if (request.method === 'GET' && path === '/readyz') {
      const checks = await runChecks(options.checks, options.checkTimeoutMs ?? 2_000)
      const ready = (options.isReady?.() ?? true) && Object.values(checks).every((check) => check.ok)
      return sendJson(response, ready ? 200 : 503, { ready, checks })
    }
    if (request.method === 'GET' && path === '/metrics') {
      const { registry } = options.metrics
      const isOpen = wantsOpenMetrics(request.headers.accept)
      const text = await (isOpen ? openMetricsOf(registry) : registry.metrics())
      response.writeHead(200, { 'content-type': isOpen ? OPEN_METRICS : registry.contentType })
      response.end(text)
      return
    }
    if ((await options.extra?.(request, response)) === true) return
    sendJson(response, 404, { status: 'not_found' })
  }

  let port = 0
  return {
    get port() {
      return port
    },
    async start() {
      port = await listen(server, { port: options.port, host: options.host })
    },
    stop() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

async function runChecks(
  checks: AdminServerOptions['checks'],
  timeoutMs: number,
): Promise<Record<string, { ok: boolean; ms: number }>> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const startedAt = performance.now()
      const ok = await Promise.race([
        check().then(
          () => true,
          () => false,
        ),
        new Promise<boolean>((resolve) => setTimeout(resolve, timeoutMs, false).unref()),
      ])
      return [name, { ok, ms: Math.round(performance.now() - startedAt) }] as const
    }),
  )
  return Object.fromEntries(results)
}
