/**
 * The whole platform on one machine: PostgreSQL, the shared store, migrations, gateway, API, worker, ingress. Used by
 * `npm start`, by end-to-end tests and by the benchmark.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ROOT } from './root.ts'
import { ChildError, startChild, waitUntilReady } from './child.ts'
import type { Child } from './child.ts'
import { openPostgres, openSharedStore } from './data.ts'
import { startIngress } from './ingress.ts'
import type { Ingress } from './ingress.ts'
import { createPortal, portalHeaders } from './portal.ts'
import { freePorts } from './ports.ts'
import type { State } from './state.ts'

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
  /** Somebody to make if need be, and a controller to make a token for. */
  readonly firstUser?: { readonly email: string; readonly name: string; readonly controller?: string }
  readonly onStep?: (text: string) => void
  readonly onLine?: (name: string, line: string) => void
  /** A service that nobody asked to end has ended. */
  readonly onDeath?: (error: ChildError) => void
}

export const FirstUser = z.object({
  /** Signs the person in once. */
  signInLink: z.url(),
  activationToken: z.string().nullable(),
})
export type FirstUser = z.infer<typeof FirstUser>

export interface Stack {
  readonly url: string
  readonly port: number
  /** `{label}.{deviceDomain}` is a device's own origin. */
  readonly deviceDomain: string
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly adminPorts: Readonly<Record<ServiceName, number>>
  readonly services: Readonly<Record<ServiceName, Child>>
  /** Null where the options name nobody. */
  readonly firstUser: FirstUser | null
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

/**
 * The order of the end. The gateway says goodbye to its tunnels while the ingress still carries it and the API can note
 * it; the data goes last.
 */
const STOP_ORDER = ['gateway', 'ingress', 'api', 'worker', 'preparation', 'postgres', 'store'] as const
type Stops = Partial<Record<(typeof STOP_ORDER)[number], () => Promise<void>>>

/** Starts everything; when a part fails, what has started is stopped and the error thrown. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stops: Stops = {}
  const stopAll = async () => {
    for (const name of STOP_ORDER) {
      await stops[name]?.()
      delete stops[name]
    }
  }
  try {
    return await assemble(options, stops, stopAll)
  } catch (error) {
    await stopAll()
    throw error
  }
}

async function assemble(options: StackOptions, stops: Stops, stopAll: () => Promise<void>): Promise<Stack> {
  const { state } = options
  const step = options.onStep ?? (() => {})
  const ingress = await openIngress(options)
  stops.ingress = () => ingress.stop()
  const [postgresPort, storePort, ...ports] = await freePorts(8)
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
  const launchService = (name: ServiceName, script: string, env: Record<string, string>) => {
    stops[name] = async () => {
      dying.add(services[name])
      await services[name].stop()
    }
    return launch(name, script, env)
  }

  const openStore = async () => {
    const store = await openSharedStore(options.env['REDIS_URL'], state, storePort!)
    stops.store = () => store.stop()
    step(store.name)
    // It needs no database; it waits for the API by itself.
    launchService('gateway', 'tunnel-gateway/src/main.ts', {
      PORT: String(gatewayPort),
      SHARD_ID: 'gateway-0',
      REDIS_URL: store.url,
      CONTROL_PLANE_URL: `http://127.0.0.1:${internalPort}`,
      PAGE_COOKIE_KEY: state.secrets.PAGE_COOKIE_KEY,
      PORTAL_ORIGIN: url,
      // A person waits for the end.
      DRAIN_WINDOW_MS: '300',
      DRAIN_DEADLINE_MS: '2000',
    })
    return store.url
  }
  const openDatabase = async () => {
    const given = options.env['DATABASE_URL']
    const server = await openPostgres(given, state, { port: postgresPort!, durable: options.durable ?? true })
    stops.postgres = () => server.stop()
    step(server.name)
    return server.url
  }
  const [databaseUrl, redisUrl] = await bothOrNeither(openDatabase(), openStore())

  const apiEnv = {
    INTERNAL_HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    PASSWORD_PEPPER: state.secrets.PASSWORD_PEPPER,
    SECRETS_KEY: state.secrets.SECRETS_KEY,
    DEV_MAIL: options.env['SMTP_URL'] ? 'false' : 'true',
  }
  const tool = (script: string, args: readonly string[]) =>
    runTool({ script, args, env: { ...common, ...apiEnv }, logFile: state.path('logs', 'tools.log') })
  const wanted = Object.entries(options.firstUser ?? {}).map(([option, value]) => `--${option}=${value}`)
  const preparation = tool('scripts/start/prepare-database.ts', wanted)
  stops.preparation = () => preparation.stop()
  await preparation.firstLine
  step('database schema is up to date')
  const api = launchService('api', 'api/src/main.ts', {
    ...apiEnv,
    ROLE: 'api',
    PORT: String(apiPort),
    INTERNAL_PORT: String(internalPort),
  })
  const worker = launchService('worker', 'api/src/main.ts', {
    ...apiEnv,
    ROLE: 'worker',
    PORT: '0',
    INTERNAL_PORT: '0',
  })
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
    firstUser: options.firstUser ? FirstUser.parse(JSON.parse((await preparation.output)[1]!)) : null,
    cli: async (...args) => (await tool('api/src/cli.ts', args).output).join('\n'),
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

/** Waits for both, so that a failure of one leaves nothing half started. */
async function bothOrNeither<A, B>(one: Promise<A>, two: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([one, two])
  if (first.status === 'rejected') throw first.reason
  if (second.status === 'rejected') throw second.reason
  return [first.value, second.value]
}

interface Tool {
  /** Rejects when it ends without having printed anything. */
  readonly firstLine: Promise<string>
  /** All it printed, at its end; rejects with the last lines when it fails. */
  readonly output: Promise<string[]>
  stop(): Promise<void>
}

/** Runs a script that ends by itself. */
function runTool(options: {
  script: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
  logFile: string
}): Tool {
  const lines: string[] = []
  const first = Promise.withResolvers<string>()
  const child = startChild({
    ...options,
    name: options.script,
    script: join(ROOT, options.script),
    env: { ...options.env, LOG_LEVEL: 'warn' },
    onLine: (line) => {
      lines.push(line)
      first.resolve(line)
    },
  })
  const output = child.exited.then(({ code }) => {
    if (code !== 0) throw new ChildError(child, 'failed')
    return lines
  })
  // Told to who waits for it, whichever it is.
  output.catch(first.reject)
  first.promise.catch(() => {})
  return { firstLine: first.promise, output, stop: () => child.stop(1_000) }
}
