/** The composition root: every part is made here, once, and handed to who needs it. */
import { createAdminServer } from '@wmoc/platform/admin-server'
import { createGentleClose } from '@wmoc/platform/gentle-close'
import { createLifecycle } from '@wmoc/platform/lifecycle'
import type { Lifecycle } from '@wmoc/platform/lifecycle'
import { listen } from '@wmoc/platform/listen'
import type { Logger } from '@wmoc/platform/log'
import { createMetrics } from '@wmoc/platform/metrics'
import { openStore } from '@wmoc/platform/open-store'
import { createSecretBox } from '@wmoc/platform/secret-box'
import type { Tracing } from '@wmoc/platform/tracing'
import { setMaxListeners } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Sequelize } from 'sequelize'
import packageJson from '../package.json' with { type: 'json' }
import { watchBackups } from './backup/record.ts'
import type { ApiConfig } from './config.ts'
import { createAuditLog } from './kernel/audit.ts'
import { bindModules } from './kernel/binding.ts'
import { watchCertificates } from './kernel/certificates.ts'
import { createDatabase } from './kernel/db.ts'
import { watchDependencies } from './kernel/dependency-metrics.ts'
import { serveDocs } from './kernel/docs.ts'
import { createEventBus } from './kernel/events.ts'
import { createGatewayNotices } from './kernel/gateway-notices.ts'
import { createHttpServer } from './kernel/http-app.ts'
import { createIdempotency } from './kernel/idempotency.ts'
import type { Idempotency } from './kernel/idempotency.ts'
import { createInternalServer } from './kernel/internal-server.ts'
import { createJobQueue } from './kernel/jobs.ts'
import type { Kernel } from './kernel/module.ts'
import { toOpenApi } from './kernel/openapi.ts'
import { createRateLimiter } from './kernel/rate-limit.ts'
import { CONTRACTS, createModules } from './modules.ts'
import { watchFleet } from './modules/controllers/fleet-metrics.ts'
import type { Modules } from './modules.ts'
import { createMailer } from './providers/mail/mailer.ts'

/** Longer than any reader of the stream of events is expected to be away. */
const KEEP_EVENTS_MS = 24 * 60 * 60 * 1_000
/** What a request in flight gets to end before its connection is cut. */
const DRAIN_MS = 5_000

export const VERSION: string = packageJson.version

export interface Composition {
  readonly kernel: Kernel
  readonly modules: Modules
  /** Add the parts of a role, then start. */
  readonly lifecycle: Lifecycle
  addApi(): void
  addWorker(): void
  /** Ports as bound; 0 before the start. */
  ports(): { public: number; internal: number; admin: number }
}

/** Makes a process of the API; which parts run is said by `addApi` and `addWorker`. */
export function compose(
  config: ApiConfig,
  {
    log,
    clock = () => new Date(),
    tracing = null,
  }: { log: Logger; clock?: () => Date; tracing?: Tracing | null },
): Composition {
  const metrics = createMetrics(config.ROLE)
  const db = createDatabase({
    url: config.DATABASE_URL,
    replicaUrls: config.DATABASE_REPLICA_URLS,
    poolMax: config.DATABASE_POOL_MAX,
    log,
    applicationName: `wmoc-${config.ROLE}`,
    tracing,
  })
  const store = openStore({ url: config.REDIS_URL, log, name: `wmoc-${config.ROLE}` })
  watchDependencies({ metrics, db, store, hasReplicas: config.DATABASE_REPLICA_URLS.length > 0 })
  const events = createEventBus({ db, store, log, clock, metrics })
  const jobs = createJobQueue({ databaseUrl: config.DATABASE_URL, db, log, metrics, tracing })
  const audit = createAuditLog(db, clock)
  const notifyGateway = createGatewayNotices(store, log)
  const kernel: Kernel = { config, db, store, log, clock, events, jobs, audit, notifyGateway }

  const secrets = createSecretBox(
    config.SECRETS_KEY_PREVIOUS === null
      ? [config.SECRETS_KEY]
      : [config.SECRETS_KEY, config.SECRETS_KEY_PREVIOUS],
  )
  const limiter = createRateLimiter(store, log, clock)
  const idempotency = createIdempotency(db, secrets, clock)
  const mailer = createMailer(kernel, { smtpUrl: config.SMTP_URL, from: config.MAIL_FROM })
  const modules = createModules(kernel, { secrets, limiter, mailer, version: VERSION })
  mailer.register()
  registerUpkeep(kernel, events, idempotency)
  for (const module of modules.all) module.register?.()

  const draining = new AbortController()
  setMaxListeners(0, draining.signal)
  const publicServer = createHttpServer({
    publicUrl: config.PUBLIC_URL,
    corsOrigins: config.CORS_ORIGINS,
    trustedHops: config.TRUSTED_HOPS,
    log,
    metrics,
    tracing,
    isDraining: () => draining.signal.aborted,
    docs: serveDocs(() =>
      toOpenApi(Object.values(CONTRACTS), { version: VERSION, serverUrl: config.PUBLIC_URL }),
    ),
    routes: bindModules(modules.all, {
      authenticator: modules.auth.authenticator,
      access: modules.controllers.access,
      limiter,
      idempotency,
      store,
      hasReplicas: config.DATABASE_REPLICA_URLS.length > 0,
      draining: draining.signal,
    }),
  })
  const internalServer = createInternalServer({
    token: config.INTERNAL_TOKEN,
    modules: modules.all,
    jwks: () => modules.auth.keys.jwks(),
    log,
    metrics,
    tracing,
  })
  const admin = createAdminServer({
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    metrics,
    checks: { postgres: () => db.query('SELECT 1'), store: () => store.ping() },
    isReady: () => !draining.signal.aborted,
  })

  const lifecycle = createLifecycle(log)
  /** Both roles stand on these; they are stopped last, when nobody asks them anything more. */
  function addBase(): void {
    lifecycle.add('traces', { stop: () => tracing?.stop(), stopTimeoutMs: 3_000 })
    lifecycle.add('admin', admin)
    lifecycle.add('store', { stop: () => store.close() })
    lifecycle.add('database', { start: () => checkDatabase(db), stop: () => db.close() })
    // Keys before anybody can sign in; the watch over sessions before any stream is open.
    lifecycle.add('auth', { start: () => modules.auth.start(), stop: () => modules.auth.stop() })
  }

  return {
    kernel,
    modules,
    lifecycle,
    addApi() {
      addBase()
      // Requests enqueue jobs, so the queue is open before the listeners and closes after them.
      lifecycle.add('jobs', { start: () => jobs.start({ work: false }), stop: () => jobs.stop() })
      // The gateway may ask before people can, and goes on asking until they are gone.
      lifecycle.add('internal listener', listener(internalServer, config.INTERNAL_PORT, config.INTERNAL_HOST))
      lifecycle.add('public listener', listener(publicServer, config.PORT, config.HOST))
      // Stopped first: not ready any more, and the streams end so that their clients go elsewhere.
      lifecycle.add('readiness', { stop: () => draining.abort() })
    },
    addWorker() {
      addBase()
      watchBackups(db, metrics)
      watchFleet(metrics, db, clock)
      watchCertificates(metrics, { publicUrl: config.PUBLIC_URL, deviceDomain: config.DEVICE_DOMAIN })
      lifecycle.add('jobs', {
        start: () => jobs.start({ work: true }),
        stop: () => jobs.stop(),
        stopTimeoutMs: 15_000,
      })
      // Handlers of events enqueue jobs: started after the queue and stopped before it.
      lifecycle.add('events', { start: () => events.startDispatcher(), stop: () => events.stopDispatcher() })
    },
    ports: () => ({ public: portOf(publicServer), internal: portOf(internalServer), admin: admin.port }),
  }
}

function registerUpkeep(
  { jobs, clock, log }: Kernel,
  events: { purge(before: Date): Promise<number> },
  idempotency: Idempotency,
): void {
  jobs.schedule('kernel.purge', '7 * * * *', async () => {
    const purged = await events.purge(new Date(clock().getTime() - KEEP_EVENTS_MS))
    await idempotency.purge()
    log.info('events', 'purged old events', { purged })
  })
}

async function checkDatabase(db: Sequelize): Promise<void> {
  await db.query('SELECT name FROM migrations LIMIT 1')
}

function listener(server: Server, port: number, host: string) {
  return {
    start: async () => {
      await listen(server, { port, host })
    },
    stop: createGentleClose(server, DRAIN_MS),
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo | null)?.port ?? 0
}
