/** The portal's server: two listeners around files in memory. */
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createAdminServer } from '@wmoc/platform/admin-server'
import { ConfigError } from '@wmoc/platform/config'
import { createGentleClose } from '@wmoc/platform/gentle-close'
import { createLifecycle } from '@wmoc/platform/lifecycle'
import type { Lifecycle } from '@wmoc/platform/lifecycle'
import { listen } from '@wmoc/platform/listen'
import type { Logger } from '@wmoc/platform/log'
import { createMetrics } from '@wmoc/platform/metrics'
import type { webConfig } from './config.ts'
import { createPortal, PORTAL_HEADERS } from './portal.ts'

/** What a request in flight gets to end before its connection is cut. */
const DRAIN_MS = 5_000
/** Longer than an ingress keeps a connection to us, so that it is never the one surprised. */
const KEEP_ALIVE_MS = 75_000
/** Status classes as label values. */
const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const

export interface WebServer {
  readonly lifecycle: Lifecycle
  /** Ports as bound; 0 before the start. */
  ports(): { public: number; admin: number }
}

/** Reads the portal and makes the server; throws ConfigError where there is no built portal. */
export function composeWeb(config: ReturnType<typeof webConfig.load>, log: Logger): WebServer {
  const metrics = createMetrics('web')
  const requests = metrics.counter('wmoc_web_requests_total', 'Requests answered, by class of status.', [
    'class',
  ])
  const folder = config.PORTAL_DIR ?? join(import.meta.dirname, '../dist')
  if (!existsSync(join(folder, 'index.html')))
    throw new ConfigError(
      `${folder} has no index.html: build the portal first, or say where it is by PORTAL_DIR`,
    )
  const portal = createPortal(folder, PORTAL_HEADERS)
  let isDraining = false
  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 30_000 },
    (request, response) => {
      response.once('close', () => {
        requests.inc({ class: CLASSES[Math.floor(response.statusCode / 100) - 1]! })
      })
      if (isDraining) response.setHeader('connection', 'close')
      portal(request, response)
    },
  )
  const admin = createAdminServer({
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    metrics,
    checks: {},
    isReady: () => !isDraining,
  })
  let port = 0
  const lifecycle = createLifecycle(log)
  lifecycle.add('admin', admin)
  lifecycle.add('public listener', {
    start: async () => {
      port = await listen(server, { port: config.PORT, host: config.HOST })
    },
    stop: createGentleClose(server, DRAIN_MS),
  })
  // Stopped first: not ready any more, and connections end with the answer they are at.
  lifecycle.add('readiness', {
    stop: () => {
      isDraining = true
    },
  })
  return { lifecycle, ports: () => ({ public: port, admin: admin.port }) }
}
