/**
 * The whole platform on one machine: PostgreSQL, the shared store, migrations, gateway, API, worker, ingress. Used by
 * `npm start`, by end-to-end tests and by the benchmark.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from './root.ts'
import { ChildError, startChild, waitUntilReady } from './child.ts'
import type { Child } from './child.ts'
import { startIngress } from './ingress.ts'
import type { Ingress } from './ingress.ts'
import { createPortal, portalHeaders } from './portal.ts'
import { freePorts } from './ports.ts'
import { startEmbeddedPostgres } from './postgres.ts'
import { startSharedStore } from './redis.ts'
import type { State } from './state.ts'

const DATABASE = 'wmoc'
const SERVICES = ['gateway', 'api', 'worker'] as const
export type ServiceName = (typeof SERVICES)[number]

export interface StackOptions {
  readonly state: State
  /** Public port; 0: any. */
  readonly port: number
  /** Variables given on: DATABASE_URL and REDIS_URL switch the embedded parts off. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Loses data when the machine loses power: for tests. */
  readonly durable?: boolean
  /** Flags of Node for the services: `--watch` in development. */
  readonly nodeFlags?: readonly string[]
  /** Where the portal's requests go instead of its built files. */
  readonly portal?: Parameters<typeof startIngress>[0]['portal']
  readonly onStep?: (text: string) => void
  readonly onLine?: (name: string, line: string) => void
  /** A service that nobody asked to end has ended. */
  readonly onDeath?: (error: ChildError) => void
}

export interface Stack {
  readonly url: string
  readonly port: number
  /** `{label}.{deviceDomain}` is a device's own origin. */
  readonly deviceDomain: string
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly adminPorts: Readonly<Record<ServiceName, number>>
  readonly services: Readonly<Record<ServiceName, Child>>
  /** Runs a command of `api/src/cli.ts` and answers what it prints. */
  cli(...args: string[]): Promise<string>
  /** kill -9, noticed by nobody. */
  kill(name: ServiceName): Promise<void>
  /** Starts a service again on its old ports and waits until it is ready. */
  restart(name: ServiceName): Promise<void>
  stop(): Promise<void>
}

/** Variables of the surroundings that the services are given as they are. */
const PASSED_ON = [
  'LOG_LEVEL',
  'DATABASE_REPLICA_URLS',
  'DATABASE_POOL_MAX',
  'CORS_ORIGINS',
  'REGISTRATION_OPEN',
  'SMTP_URL',
  'MAIL_FROM',
]

/** Starts everything; when a part fails, what has started is stopped and the error thrown. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stops: (() => Promise<void>)[] = []
  const stopAll = async () => {
    for (let stop = stops.pop(); stop; stop = stops.pop()) await stop()
  }
  try {
    return await assemble(options, stops, stopAll)
  } catch (error) {
    await stopAll()
    throw error
  }
}

async function assemble(
  options: StackOptions,
  stops: (() => Promise<void>)[],
  stopAll: () => Promise<void>,
): Promise<Stack> {
  const { state } = options
  const step = options.onStep ?? (() => {})
  const ingress = await openIngress(options)
  const [postgresPort, storePort, ...ports] = await freePorts(9)
  const [gatewayPort, apiPort, internalPort, ...admin] = ports as [number, number, number, ...number[]]
  const adminPorts = { gateway: admin[0]!, api: admin[1]!, worker: admin[2]! }

  const url = `http://localhost:${ingress.port}`
  const deviceDomain = `localhost:${ingress.port}`
  const common = {
    ...Object.fromEntries(
      PASSED_ON.flatMap((name) => (options.env[name] ? [[name, options.env[name]]] : [])),
    ),
    NODE_ENV: 'development',
    LOG_FORMAT: 'pretty',
    HOST: '127.0.0.1',
    ADMIN_HOST: '127.0.0.1',
    PUBLIC_URL: url,
    DEVICE_DOMAIN: deviceDomain,
    TRUSTED_HOPS: '1',
    INTERNAL_TOKEN: state.secrets.INTERNAL_TOKEN,
    DEVICE_CREDENTIAL_KEY: state.secrets.DEVICE_CREDENTIAL_KEY,
  }

  const dying = new Set<Child>()
  const services = {} as Record<ServiceName, Child>
  const definitions = {} as Record<ServiceName, () => Child>
  const launch = (name: ServiceName, script: string, env: Record<string, string>) => {
    definitions[name] = () => {
      const child = startChild({
        name,
        script: join(ROOT, script),
        env: { ...common, ...env, ADMIN_PORT: String(adminPorts[name]) },
        logFile: state.path('logs', `${name}.log`),
        nodeFlags: options.nodeFlags,
        onLine: (line) => options.onLine?.(name, line),
      })
      services[name] = child
      void child.exited.then(({ code, signal }) => {
        if (!dying.has(child))
          options.onDeath?.(new ChildError(child, `has ended (${signal ?? `exit code ${code}`})`))
      })
      return child
    }
    return definitions[name]()
  }
  const stopService = async (name: ServiceName) => {
    dying.add(services[name])
    await services[name].stop()
  }

  const [databaseUrl, redisUrl] = await startData(
    options,
    postgresPort!,
    storePort!,
    stops,
    async (storeUrl) => {
      // It needs no database; it waits for the API by itself.
      launch('gateway', 'tunnel-gateway/src/main.ts', {
        PORT: String(gatewayPort),
        SHARD_ID: 'gateway-0',
        REDIS_URL: storeUrl,
        CONTROL_PLANE_URL: `http://127.0.0.1:${internalPort}`,
        PAGE_COOKIE_KEY: state.secrets.PAGE_COOKIE_KEY,
        PORTAL_ORIGIN: url,
        // A person waits for the end.
        DRAIN_WINDOW_MS: '300',
        DRAIN_DEADLINE_MS: '2000',
      })
      stops.push(() => stopService('gateway'))
    },
  )

  const apiEnv = {
    INTERNAL_HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    PASSWORD_PEPPER: state.secrets.PASSWORD_PEPPER,
    SECRETS_KEY: state.secrets.SECRETS_KEY,
    DEV_MAIL: options.env['SMTP_URL'] ? 'false' : 'true',
  }
  const runApi = (script: string, args: string[]) => runOnce(state, script, args, { ...common, ...apiEnv })
  await runApi('migrate', [])
  step('database schema is up to date')
  const api = launch('api', 'api/src/main.ts', {
    ...apiEnv,
    ROLE: 'api',
    PORT: String(apiPort),
    INTERNAL_PORT: String(internalPort),
  })
  const worker = launch('worker', 'api/src/main.ts', {
    ...apiEnv,
    ROLE: 'worker',
    PORT: '0',
    INTERNAL_PORT: '0',
  })
  // Taken from the end: the gateway says goodbye to its tunnels while the API can still note it, the data goes last.
  const stopGateway = stops.pop()!
  stops.push(
    () => stopService('worker'),
    () => stopService('api'),
    () => ingress.stop(),
    stopGateway,
  )
  await Promise.all([
    waitUntilReady(api, adminPorts.api).then(() => step('API is ready')),
    waitUntilReady(worker, adminPorts.worker).then(() => step('worker is ready')),
    waitUntilReady(services.gateway, adminPorts.gateway).then(() => step('gateway is ready')),
  ])
  ingress.open({
    api: { host: '127.0.0.1', port: apiPort },
    gateway: { host: '127.0.0.1', port: gatewayPort },
  })

  return {
    url,
    port: ingress.port,
    deviceDomain,
    databaseUrl,
    redisUrl,
    adminPorts,
    services,
    cli: (...args) => runApi('cli', args),
    async kill(name) {
      dying.add(services[name])
      services[name].kill('SIGKILL')
      await services[name].exited
    },
    restart: async (name) => waitUntilReady(definitions[name](), adminPorts[name]),
    stop: stopAll,
  }
}

/** The public port is bound before anything else, so that a port in use costs no time. */
function openIngress(options: StackOptions): Promise<Ingress> {
  const folder = join(ROOT, 'web/dist')
  const portal =
    options.portal ??
    createPortal(existsSync(folder) ? folder : join(ROOT, 'web/public'), portalHeaders(ROOT))
  return startIngress({ port: options.port, hosts: ['127.0.0.1', '::1'], portal })
}

/** PostgreSQL and the shared store, at the same time, where none are given. Answers their URLs. */
async function startData(
  options: StackOptions,
  postgresPort: number,
  storePort: number,
  stops: (() => Promise<void>)[],
  onStore: (url: string) => Promise<void>,
): Promise<[string, string]> {
  const { state, env } = options
  const step = options.onStep ?? (() => {})
  const givenStore = env['REDIS_URL'] || null
  const startStore = async () => {
    if (givenStore) step('Redis: the one of REDIS_URL')
    const store = givenStore ? null : await startSharedStore(state, storePort)
    if (store) {
      stops.unshift(() => store.stop())
      step(`Redis: ${store.name}`)
    }
    const url = givenStore ?? store!.url
    await onStore(url)
    return url
  }
  const startDatabase = async () => {
    const given = env['DATABASE_URL']
    if (given) {
      step('PostgreSQL: the one of DATABASE_URL')
      return given
    }
    const server = await startEmbeddedPostgres({
      dataDir: state.path('postgres'),
      port: postgresPort,
      password: state.secrets.postgresPassword,
      durable: options.durable ?? true,
    })
    stops.unshift(() => server.stop())
    await createDatabase(server.url())
    step(`PostgreSQL: embedded, ${server.isNew ? 'new' : 'as it was'}`)
    return server.url(DATABASE)
  }
  // Both are waited for, so that a failure of one leaves nothing half started.
  const [database, store] = await Promise.allSettled([startDatabase(), startStore()])
  if (database.status === 'rejected') throw database.reason
  if (store.status === 'rejected') throw store.reason
  return [database.value, store.value]
}

async function createDatabase(adminUrl: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl })
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (!rowCount) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}

/** Runs a script of the API to its end; answers what it printed, throws with its last lines when it fails. */
async function runOnce(
  state: State,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const lines: string[] = []
  const child = startChild({
    name,
    script: join(ROOT, `api/src/${name}.ts`),
    args,
    env: { ...env, LOG_LEVEL: 'warn' },
    logFile: state.path('logs', 'tools.log'),
    onLine: (line) => lines.push(line),
  })
  const { code } = await child.exited
  if (code !== 0) throw new ChildError(child, 'failed')
  return lines.join('\n')
}
