/** The controllers and commands modules on real PostgreSQL and Redis, without listeners; and controllers to test with. */
import { createMetrics } from '@wmoc/platform/metrics'
import { openStore } from '@wmoc/platform/open-store'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import type { Sequelize } from 'sequelize'
import { testRedis } from '@wmoc/testkit/redis'
import { randomBytes } from 'node:crypto'
import { apiConfig } from '#src/config.ts'
import { createAuditLog } from '#src/kernel/audit.ts'
import { createEventBus } from '#src/kernel/events.ts'
import { createGatewayNotices } from '#src/kernel/gateway-notices.ts'
import { createJobQueue, installJobs } from '#src/kernel/jobs.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import { createCommandsModule } from '#src/modules/commands/module.ts'
import type { CommandsModule } from '#src/modules/commands/module.ts'
import type { Controller } from '#src/modules/controllers/contract.ts'
import { createControllersModule } from '#src/modules/controllers/module.ts'
import type { ControllersModule } from '#src/modules/controllers/module.ts'
import { insertUser, openMigratedDatabase, quietLog } from './plain-rows.ts'
import type { PlainUser } from './plain-rows.ts'

export const ADDRESS = '203.0.113.7'

export interface ControllersUnderTest {
  readonly kernel: Kernel
  readonly controllers: ControllersModule
  readonly commands: CommandsModule
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Moves the kernel's clock. */
  advance(ms: number): void
  buildUser(options?: { tier?: string }): Promise<PlainUser>
  /** An active controller of this person, activated by a token, and its secret. */
  buildController(
    user: PlainUser,
    device?: Partial<DeviceDescription>,
  ): Promise<{ id: string; secret: string; verifier: string }>
  /** Domain events emitted so far, oldest first. */
  events(type?: string): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/** A device as the gateway would describe it; a fresh MAC unless one is given. */
export function describeDevice(device: Partial<DeviceDescription> = {}): DeviceDescription {
  const mac = [...randomBytes(6)].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':')
  return {
    mac,
    firmwareVersion: '1.0.0',
    model: 'Relay 2',
    metadata: {},
    remoteAddress: ADDRESS,
    ...device,
  }
}

/** Opens everything; `close` ends it. */
export async function openControllers(): Promise<ControllersUnderTest> {
  const [database, redis] = await Promise.all([openMigratedDatabase({ poolMax: 30 }), testRedis()])
  await installJobs(database.url)
  const opened = await openControllersOn({ databaseUrl: database.url, redisUrl: redis.url, db: database.db })
  return {
    ...opened,
    async close() {
      await opened.close()
      await redis.stop()
      await database.close()
    },
  }
}

/** The same on services that run already, as another process of the same installation would. */
export async function openControllersOn(services: {
  databaseUrl: string
  redisUrl: string
  db: Sequelize
}): Promise<ControllersUnderTest> {
  const { db, databaseUrl, redisUrl } = services
  const store = openStore({ url: redisUrl, log: quietLog, name: 'test' })
  let offsetMs = 0
  const clock = () => new Date(Date.now() + offsetMs)
  const metrics = createMetrics('api')
  const jobs = createJobQueue({ databaseUrl, db, log: quietLog, metrics })
  const config = apiConfig.load({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    INTERNAL_TOKEN: 'i'.repeat(32),
    DEVICE_CREDENTIAL_KEY: 'd'.repeat(32),
    PASSWORD_PEPPER: 'p'.repeat(32),
    SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
  })
  const kernel: Kernel = {
    config,
    db,
    store,
    log: quietLog,
    clock,
    events: createEventBus({ db, store, log: quietLog, clock, metrics }),
    jobs,
    audit: createAuditLog(db, clock),
    notifyGateway: createGatewayNotices(store, quietLog),
  }
  const controllers = createControllersModule(kernel)
  const commands = createCommandsModule(kernel, controllers.access)
  controllers.register?.()
  commands.register?.()
  await jobs.start({ work: false })
  return {
    kernel,
    controllers,
    commands,
    databaseUrl,
    redisUrl,
    advance(ms) {
      offsetMs += ms
    },
    buildUser: (options = {}) => insertUser(db, options),
    async buildController(user, device = {}) {
      const { token } = await controllers.tokens.createToken({
        userId: user.userId,
        remoteAddress: ADDRESS,
        name: undefined,
      })
      const redeemed = await controllers.tokens.redeem({ token, device: describeDevice(device) })
      if (redeemed.outcome !== 'issued') throw new Error(`not activated: ${redeemed.reason}`)
      const { controllerId, verifiers } = redeemed.controller
      return { id: controllerId, secret: redeemed.secret, verifier: verifiers[0]! }
    },
    async events(type) {
      const found = await rows<{ type: string; payload: object }>(
        db,
        `SELECT type, payload FROM domain_events WHERE $type::text IS NULL OR type = $type ORDER BY position`,
        { type: type ?? null },
      )
      return found.map((row) => ({ type: row.type, ...row.payload }))
    },
    async close() {
      await jobs.stop()
      await store.close()
    },
  }
}

/** The controllers of a person, by their names. */
export async function listAll(under: ControllersUnderTest, user: PlainUser): Promise<Controller[]> {
  const page = await under.controllers.service.list(user.userId, { sort: 'name', limit: 200 })
  return page.items
}
