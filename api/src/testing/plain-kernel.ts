/** A kernel on real PostgreSQL and Redis without listeners, for tests of a module's services. */
import { createMetrics } from '@wmoc/platform/metrics'
import { openStore } from '@wmoc/platform/open-store'
import { testRedis } from '@wmoc/testkit/redis'
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

/** Opens a kernel with a database of its own. */
export async function openKernel(): Promise<PlainKernel> {
  const [database, redis] = await Promise.all([openMigratedDatabase({ poolMax: 30 }), testRedis()])
  const { db, url } = database
  await installJobs(url)
  const store = openStore({ url: redis.url, log: quietLog, name: 'test' })
  const metrics = createMetrics('api')
  const jobs = createJobQueue({ databaseUrl: url, db, log: quietLog, metrics })
  let offsetMs = 0
  const clock = (): Date => new Date(Date.now() + offsetMs)
  const events = createEventBus({ db, store, log: quietLog, clock, metrics })
  let isWorking = false
  return {
    config: apiConfig.load({
      DATABASE_URL: url,
      REDIS_URL: redis.url,
      INTERNAL_TOKEN: 'i'.repeat(32),
      DEVICE_CREDENTIAL_KEY: 'd'.repeat(32),
      PASSWORD_PEPPER: 'p'.repeat(32),
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
      await redis.stop()
      await database.close()
    },
  }
}
