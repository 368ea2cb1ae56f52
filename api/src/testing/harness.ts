/** The whole API in this process, on a fresh database and a Redis of its own, listening on free ports. */
import { readdir, readFile } from 'node:fs/promises'
import type {
  ControlPlaneCall,
  ControlPlaneInput,
  ControlPlaneOutput,
  DeviceDescription,
} from '@wmoc/protocol/control-plane'
import { sha256Hex, uuidv7 } from '@wmoc/platform/ids'
import { testDatabase } from '@wmoc/testkit/postgres'
import { testRedis } from '@wmoc/testkit/redis'
import type { TestRedis } from '@wmoc/testkit/redis'
import { compose } from '#src/compose.ts'
import type { Composition } from '#src/compose.ts'
import { apiConfig } from '#src/config.ts'
import type { ApiConfig } from '#src/config.ts'
import { createClient } from '#src/kernel/client.ts'
import type { Client } from '#src/kernel/client.ts'
import { createDatabase } from '#src/kernel/db.ts'
import { installJobs } from '#src/kernel/jobs.ts'
import { createMigrator } from '#src/kernel/migrations.ts'
import { CONTRACTS } from '#src/modules.ts'
import type { Tier } from '#src/modules/auth/contract.ts'
import { describeDevice } from './controllers.ts'
import { quietLog } from './plain-rows.ts'

export interface TestUser {
  readonly userId: string
  readonly workspaceId: string
  readonly email: string
  readonly sessionId: string
  readonly accessToken: string
  readonly refreshToken: string
}

export interface TestApi {
  readonly url: string
  readonly internalUrl: string
  readonly databaseUrl: string
  readonly config: ApiConfig
  readonly api: Composition
  readonly redis: TestRedis
  /** Moves the clock of the API and the worker. */
  advance(ms: number): void
  /** The typed client of a person, or of nobody. */
  client(user?: TestUser): Client<typeof CONTRACTS>
  /** A raw request; `as` adds the person's token. */
  request(path: string, init?: RequestInit & { as?: TestUser }): Promise<Response>
  /** A call of the gateway. Rejects with the status when it is not 200. */
  internal<C extends ControlPlaneCall>(name: C, input: ControlPlaneInput<C>): Promise<ControlPlaneOutput<C>>
  /** A signed-in person with a personal workspace; no password unless a hash is given. */
  buildUser(options?: { tier?: Tier; email?: string; passwordHash?: string }): Promise<TestUser>
  /** An active controller of the person, activated by a token, and its secret. */
  buildController(
    user: TestUser,
    device?: Partial<DeviceDescription> & { name?: string },
  ): Promise<{ id: string; secret: string }>
  /** Ends everything and removes the database. */
  close(): Promise<void>
}

const SECRETS = {
  INTERNAL_TOKEN: 'internal-token-of-the-test-harness-0',
  DEVICE_CREDENTIAL_KEY: 'device-credential-key-of-the-harness',
  PASSWORD_PEPPER: 'password-pepper-of-the-test-harness-1',
  SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
}

/** Starts the API and, unless told otherwise, its worker; `env` changes the configuration. */
export async function startApi({
  env = {},
  worker = true,
}: { env?: Record<string, string>; worker?: boolean } = {}): Promise<TestApi> {
  const [database, redis] = await Promise.all([
    testDatabase({ name: `api_${await schemaHash()}`, prepare: migrate }),
    testRedis(),
  ])
  const config = apiConfig.load({
    ...SECRETS,
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    PORT: '0',
    INTERNAL_PORT: '0',
    ADMIN_PORT: '0',
    ...env,
  })
  let offsetMs = 0
  const clock = () => new Date(Date.now() + offsetMs)
  const api = compose(config, { log: quietLog, clock })
  api.addApi()
  await api.lifecycle.start()
  const background = worker ? compose({ ...config, ROLE: 'worker' }, { log: quietLog, clock }) : null
  background?.addWorker()
  await background?.lifecycle.start()

  const url = `http://127.0.0.1:${api.ports().public}`
  const internalUrl = `http://127.0.0.1:${api.ports().internal}`
  const internal: TestApi['internal'] = async (name, input) => {
    const response = await fetch(`${internalUrl}/internal/${name}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${config.INTERNAL_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(input),
    })
    if (response.status !== 200)
      throw new Error(`${name} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as never
  }

  return {
    url,
    internalUrl,
    databaseUrl: database.url,
    config,
    api,
    redis,
    internal,
    advance(ms) {
      offsetMs += ms
    },
    client: (user) => createClient(CONTRACTS, { baseUrl: url, getToken: () => user?.accessToken ?? null }),
    request: (path, { as, ...init } = {}) => {
      const headers = new Headers(init.headers)
      if (as) headers.set('authorization', `Bearer ${as.accessToken}`)
      return fetch(`${url}${path}`, { redirect: 'manual', ...init, headers })
    },
    buildUser: (options = {}) => buildUser(api, options),
    async buildController(user, { name, ...device } = {}) {
      const { tokens } = api.modules.controllers
      const { token } = await tokens.createToken({ userId: user.userId, remoteAddress: '203.0.113.7', name })
      const redeemed = await tokens.redeem({ token, device: describeDevice(device) })
      if (redeemed.outcome !== 'issued') throw new Error(`not activated: ${redeemed.reason}`)
      return { id: redeemed.controller.controllerId, secret: redeemed.secret }
    },
    async close() {
      await background?.lifecycle.stop()
      await api.lifecycle.stop()
      await redis.stop()
      await database.drop()
    },
  }
}

/** Changes when a migration does. */
async function schemaHash(): Promise<string> {
  const folder = new URL('../../migrations/', import.meta.url)
  const names = (await readdir(folder)).toSorted()
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), 'utf8')))
  return sha256Hex(texts.join('\n')).slice(0, 12)
}

async function migrate(url: string): Promise<void> {
  const owner = createDatabase({ url, poolMax: 3, log: quietLog, statementTimeoutMs: 0 })
  await createMigrator(owner, quietLog).up()
  await owner.close()
  await installJobs(url)
}

async function buildUser(
  { kernel, modules }: Composition,
  options: { tier?: Tier; email?: string; passwordHash?: string },
): Promise<TestUser> {
  const email = options.email ?? `${uuidv7()}@example.test`
  const { users, sessions, tokens } = modules.auth
  const created = await kernel.db.transaction((transaction) =>
    users.create(
      {
        email,
        passwordHash: options.passwordHash ?? null,
        name: '',
        locale: 'en',
        emailVerified: true,
        tier: options.tier ?? 'free',
      },
      transaction,
    ),
  )
  if (!created) throw new Error(`${email} is taken`)
  const opened = await sessions.open(created.userId, { userAgent: 'test', remoteAddress: '203.0.113.7' })
  return {
    ...created,
    email,
    sessionId: opened.sessionId,
    accessToken: await tokens.issue(opened),
    refreshToken: opened.refreshToken ?? '',
  }
}
