/**
 * The whole platform on one machine: PostgreSQL, the shared store, migrations, gateways, API, worker, ingress. Used by
 * `npm start`, by end-to-end tests and by the benchmark.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createPortal, PORTAL_HEADERS } from '@wmoc/web/server/portal'
import { z } from 'zod'
import { ROOT } from './root.ts'
import type { ChildError } from './child.ts'
import { openPostgres, openSharedStore } from './data.ts'
import { startIngress } from './ingress.ts'
import type { Ingress, OneHost } from './ingress.ts'
import type { GatewayTarget } from './gateway-pool.ts'
import { freePorts } from './ports.ts'
import { createServices } from './services.ts'
import type { Exit, Service, ServiceName, ServiceSpec } from './services.ts'
import type { State } from './state.ts'
import { runTool } from './tool.ts'

export interface StackOptions {
  readonly state: State
  /** Public port; 0: any. */
  readonly port: number
  /** One host name (lower case, maybe with a port) for everything; null, the default: a device domain on this machine. */
  readonly host?: string | null
  /** Variables given on: DATABASE_URL and REDIS_URL switch the embedded parts off, an empty DEVICE_DOMAIN the domain of devices. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Loses data when the machine loses power: for tests. */
  readonly durable?: boolean
  /** Gateways beside each other; default 1. */
  readonly shards?: number
  /** Further variables of the gateways. */
  readonly gatewayEnv?: Readonly<Record<string, string>>
  /** Flags of Node for the services: `--watch` in development. */
  readonly nodeFlags?: readonly string[]
  /** Where the portal's requests go instead of its built files. */
  readonly portal?: Parameters<typeof startIngress>[0]['portal']
  /** Somebody to make if need be, and a controller to make a token for. */
  readonly firstUser?: { readonly email: string; readonly name: string; readonly controller?: string }
  readonly onStep?: (text: string) => void
  readonly onLine?: (name: string, line: string) => void
  /** A service that nobody asked to end has ended. */
  readonly onDeath?: (error: ChildError, name: ServiceName) => void
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
  /** `{label}.{deviceDomain}` is a device's own origin; empty: they have none. */
  readonly deviceDomain: string
  readonly databaseUrl: string
  readonly redisUrl: string
  /** Where health and metrics are; those of a gateway stand in `gateways()`. */
  readonly adminPorts: { readonly api: number; readonly worker: number }
  /** Those that run now; two of one name while one replaces the other. */
  gateways(): readonly RunningGateway[]
  /** Null where the options name nobody. */
  readonly firstUser: FirstUser | null
  /** Runs a command of `api/src/cli.ts` and answers what it prints. */
  cli(...args: string[]): Promise<string>
  /** kill -9, noticed by nobody. */
  kill(name: ServiceName): Promise<void>
  /** Starts a service again on its old ports and waits until it is ready. */
  restart(name: ServiceName): Promise<void>
  /** SIGSTOP, until `resume`. */
  pause(name: ServiceName): void
  resume(name: ServiceName): void
  /** Asks a service to end, waits for that, and starts it again: how it ended. */
  cycle(name: ServiceName): Promise<Exit>
  /** A new gateway of the same name on other ports; when it is ready the old one is asked to end: how it ended. */
  replace(name: ServiceName): Promise<Exit>
  stop(): Promise<void>
}

export interface RunningGateway extends GatewayTarget {
  readonly name: ServiceName
  readonly pid: number
}

interface GatewaySpec extends ServiceSpec {
  readonly target?: GatewayTarget
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
 * The order of the end. The gateways say goodbye to their tunnels while the ingress still carries it and the API can note
 * it; the data goes last.
 */
const STOP_ORDER = ['gateways', 'ingress', 'api', 'worker', 'preparation', 'postgres', 'store'] as const
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
  const shards = Array.from({ length: options.shards ?? 1 }, (_, index): ServiceName => `gateway-${index}`)
  const [postgresPort, storePort, apiPort, internalPort, apiAdminPort, workerAdminPort, ...gatewayPorts] =
    (await freePorts(6 + 3 * shards.length)) as [number, number, number, number, number, number, ...number[]]

  const host = oneHostOf(options)
  const isProxied = host !== null && isPublic(host)
  const url = isProxied ? `https://${host}` : `http://localhost:${ingress.port}`
  const deviceDomain = host === null ? `localhost:${ingress.port}` : ''
  const common = {
    ...Object.fromEntries(
      Object.entries(options.env).filter(
        ([name, value]) => value && (PASSED_ON.includes(name) || name.startsWith('OTEL_')),
      ),
    ),
    NODE_ENV: 'development',
    LOG_FORMAT: 'pretty',
    HOST: '127.0.0.1',
    ADMIN_HOST: '127.0.0.1',
    PUBLIC_URL: url,
    DEVICE_DOMAIN: deviceDomain,
    TRUSTED_HOPS: isProxied ? '2' : '1',
    INTERNAL_TOKEN: state.secrets.INTERNAL_TOKEN,
    DEVICE_CREDENTIAL_KEY: state.secrets.DEVICE_CREDENTIAL_KEY,
  }

  const services = createServices<GatewaySpec>({
    env: common,
    logFile: (name) => state.path('logs', `${name}.log`),
    nodeFlags: options.nodeFlags,
    onLine: options.onLine,
    onDeath: options.onDeath,
  })
  const gateways = () => services.all().filter(isGateway)
  const gatewaySpec = (shard: ServiceName, storeUrl: string, free: readonly number[]): GatewaySpec => {
    const [port, adminPort, peerPort] = free as [number, number, number]
    return {
      script: join(ROOT, 'tunnel-gateway/src/main.ts'),
      adminPort,
      target: { host: '127.0.0.1', port, adminPort, shard },
      env: {
        PORT: String(port),
        SHARD_ID: shard,
        PEER_HOST: '127.0.0.1',
        PEER_PORT: String(peerPort),
        PEER_ADVERTISE: `127.0.0.1:${peerPort}`,
        REDIS_URL: storeUrl,
        CONTROL_PLANE_URL: `http://127.0.0.1:${internalPort}`,
        PAGE_COOKIE_KEY: state.secrets.PAGE_COOKIE_KEY,
        PORTAL_ORIGIN: url,
        // A person waits for the end.
        DRAIN_WINDOW_MS: '300',
        DRAIN_DEADLINE_MS: '2000',
        ...options.gatewayEnv,
      },
    }
  }

  const openStore = async () => {
    const store = await openSharedStore(options.env['REDIS_URL'], state, storePort)
    stops.store = () => store.stop()
    step(store.name)
    stops.gateways = async () => {
      await Promise.all(shards.map((shard) => services.stop(shard)))
    }
    // They need no database; they wait for the API by themselves.
    for (const [index, shard] of shards.entries())
      services.launch(shard, gatewaySpec(shard, store.url, gatewayPorts.slice(3 * index)))
    return store.url
  }
  const openDatabase = async () => {
    const given = options.env['DATABASE_URL']
    const server = await openPostgres(given, state, { port: postgresPort, durable: options.durable ?? true })
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
  const launchApi = (name: 'api' | 'worker', adminPort: number, env: Record<string, string>) => {
    services.launch(name, {
      script: join(ROOT, 'api/src/main.ts'),
      adminPort,
      env: { ...apiEnv, ROLE: name, ...env },
    })
    stops[name] = () => services.stop(name)
  }
  launchApi('api', apiAdminPort, { PORT: String(apiPort), INTERNAL_PORT: String(internalPort) })
  launchApi('worker', workerAdminPort, { PORT: '0', INTERNAL_PORT: '0' })
  await Promise.all([
    services.ready('api').then(() => step('API is ready')),
    services.ready('worker').then(() => step('worker is ready')),
    ...shards.map((shard) =>
      services.ready(shard).then(() => step(`${shards.length > 1 ? shard : 'gateway'} is ready`)),
    ),
  ])
  ingress.open({
    api: { host: '127.0.0.1', port: apiPort },
    gateways: () => gateways().map(({ spec }) => spec.target),
  })

  return {
    url,
    port: ingress.port,
    deviceDomain,
    databaseUrl,
    redisUrl,
    adminPorts: { api: apiAdminPort, worker: workerAdminPort },
    gateways: () =>
      gateways()
        .filter(({ child }) => child.isRunning)
        .map(({ name, spec, child }) => ({ ...spec.target, name, pid: child.pid })),
    firstUser: options.firstUser ? FirstUser.parse(JSON.parse((await preparation.output)[1]!)) : null,
    cli: async (...args) => (await tool('api/src/cli.ts', args).output).join('\n'),
    kill: (name) => services.kill(name),
    restart: (name) => services.restart(name),
    pause: (name) => services.pause(name),
    resume: (name) => services.resume(name),
    cycle: (name) => services.cycle(name),
    replace: async (name) => services.replace(name, gatewaySpec(name, redisUrl, await freePorts(3))),
    stop: stopAll,
  }
}

type GatewayService = Service<GatewaySpec & { readonly target: GatewayTarget }>

function isGateway(service: Service<GatewaySpec>): service is GatewayService {
  return service.spec.target !== undefined
}

/** The public port is bound before anything else, so that a port in use costs no time. */
function openIngress(options: StackOptions): Promise<Ingress> {
  const folder = join(ROOT, 'web/dist')
  const portal =
    options.portal ?? createPortal(existsSync(folder) ? folder : join(ROOT, 'web/public'), PORTAL_HEADERS)
  const host = oneHostOf(options)
  const { port } = options
  const oneHost = host === null ? null : ingressHost(host)
  return startIngress({ port, hosts: ['127.0.0.1', '::1'], portal, oneHost })
}

/** The one host name for everything; null: there are more. */
function oneHostOf({ host, env }: StackOptions): string | null {
  return host ?? (env['DEVICE_DOMAIN'] === '' ? 'localhost' : null)
}

/** Another machine asks by this name, through a proxy that ends TLS. */
function isPublic(host: string): boolean {
  return host.replace(/:\d+$/, '') !== 'localhost'
}

function ingressHost(host: string): OneHost {
  return { name: host.replace(/:\d+$/, ''), before: isPublic(host) ? 'proxy' : 'nobody' }
}

/** Waits for both, so that a failure of one leaves nothing half started. */
async function bothOrNeither<A, B>(one: Promise<A>, two: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([one, two])
  if (first.status === 'rejected') throw first.reason
  if (second.status === 'rejected') throw second.reason
  return [first.value, second.value]
}
