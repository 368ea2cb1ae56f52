/** A kernel on real PostgreSQL and Redis without listeners, for tests of a module's services. */
import { createMetrics } from '@wmoc/platform/metrics'
import { openStore } from '@wmoc/platform/open-store'
import { testRedis } from '@wmoc/testkit/redis'
import type { Sequelize } from 'sequelize'
import { apiConfig } from '#src/config.ts'
import { createAuditLog } from '#src/kernel/audit.ts'
import { createEventBus, type EventBusWithDispatcher } from '#src/kernel/events.ts'
import { createGatewayNotices } from '#src/kernel/gateway-notices.ts'
import { createJobQueue, installJobs } from '#src/kernel/jobs.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { openMigratedDatabase, quietLog } from './plain-rows.ts'

export interface PlainKernel extends Kernel {
  readonly events: EventBusWithDispatcher
  /** Opens the queue of jobs once every module has registered its own; `work` runs them and delivers events. */
  start(options: { work: boolean }): Promise<void>
  /** Moves the clock. */
  advance(ms: number): void
  close(): Promise<void>
}

/** Opens a kernel with a database and a Redis of its own. */
export async function openKernel(): Promise<PlainKernel> {
  const [database, redis] = await Promise.all([openMigratedDatabase({ poolMax: 30 }), testRedis()])
  await installJobs(database.url)
  const kernel = openKernelOn({ db: database.db, databaseUrl: database.url, redisUrl: redis.url })
  return {
    ...kernel,
    async close() {
      await kernel.close()
      await redis.stop()
      await database.close()
    },
  }
}

/** Opens a kernel on services that run already, as another process of the same installation would. */
export function openKernelOn(services: {
  db: Sequelize
  databaseUrl: string
  redisUrl: string
}): PlainKernel {
  const { db, databaseUrl, redisUrl } = services
  const store = openStore({ url: redisUrl, log: quietLog, name: 'test' })
  const metrics = createMetrics('api')
  const jobs = createJobQueue({ databaseUrl, db, log: quietLog, metrics })
  let offsetMs = 0
  const clock = (): Date => new Date(Date.now() + offsetMs)
  const events = createEventBus({ db, store, log: quietLog, clock, metrics })
  let isWorking = false
  return {
    config: apiConfig.load({
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      INTERNAL_TOKEN: 'internal-token-of-the-tests-0123456789',
      DEVICE_CREDENTIAL_KEY: 'device-credential-key-of-the-tests-0123',
      PASSWORD_PEPPER: 'password-pepper-of-the-tests-0123456789',
      SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
    }),
    db,
    store,
    log: quietLog,
    clock,
    events,
    jobs,
    audit: createAuditLog(db, clock),
    notifyGateway: createGatewayNotices(store, quietLog),
    async start({ work }) {
      await jobs.start({ work })
      if (work) await events.startDispatcher()
      isWorking = work
    },
    advance(ms) {
      offsetMs += ms
    },
    async close() {
      if (isWorking) await events.stopDispatcher()
      await jobs.stop()
      await store.close()
    },
  }
}
