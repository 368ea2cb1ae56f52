/** Gateways as in production, with limits, metrics and the shared store on, and a control plane without database. */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createEmbeddedStoreServer } from '@wmoc/platform/embedded-store-server'
import { findProgram } from '../scripts/start/leash.ts'
import { freePorts } from '../scripts/start/ports.ts'
import { type BenchChild, eventually, startChild } from './children.ts'
import { type BenchControlPlane, startControlPlane } from './control-plane.ts'

export interface BenchGateway {
  readonly name: string
  readonly child: BenchChild
  readonly port: number
  readonly adminPort: number
  /** Registered tunnels, by its own gauge. */
  tunnels(): Promise<number>
}

export interface BenchCluster {
  readonly gateways: readonly BenchGateway[]
  readonly controlPlane: BenchControlPlane
  /** A new process takes the place of one, which is then asked to go; resolves when that has ended. */
  replace(old: BenchGateway): Promise<void>
  stop(): Promise<void>
}

const MAIN = fileURLToPath(new URL('../tunnel-gateway/src/main.ts', import.meta.url))
const HOST = '127.0.0.1'
/** On a machine that does much else. */
const START_MS = 60_000
const secret = () => randomBytes(32).toString('base64url')

/** Starts `size` shards and waits until all are ready. @param settings Of their environment, over the defaults. */
export async function startCluster(
  size: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<BenchCluster> {
  const credentialKey = secret()
  const controlPlane = await startControlPlane(credentialKey)
  const store = await startStore()
  const gateways: BenchGateway[] = []
  const common = {
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    HOST,
    ADMIN_HOST: HOST,
    PEER_HOST: HOST,
    REDIS_URL: store.url,
    CONTROL_PLANE_URL: controlPlane.url,
    INTERNAL_TOKEN: secret(),
    DEVICE_CREDENTIAL_KEY: credentialKey,
    PAGE_COOKIE_KEY: secret(),
    PUBLIC_URL: 'http://localhost:8080',
    DEVICE_DOMAIN: '',
    TRUSTED_HOPS: '0',
    ...settings,
  }
  async function add(name: string): Promise<BenchGateway> {
    const [port, adminPort, peerPort] = (await freePorts(3)) as [number, number, number]
    const child = startChild(MAIN, [], {
      ...common,
      SHARD_ID: name,
      PORT: String(port),
      ADMIN_PORT: String(adminPort),
      PEER_PORT: String(peerPort),
      PEER_ADVERTISE: `${HOST}:${peerPort}`,
    })
    const admin = (path: string) => fetch(`http://${HOST}:${adminPort}${path}`)
    await eventually(`the gateway ${name}`, async () => (await admin('/readyz')).ok, START_MS)
    const gateway: BenchGateway = {
      name,
      child,
      port,
      adminPort,
      async tunnels() {
        const text = await (await admin('/metrics')).text()
        const samples = text.matchAll(/^wmoc_gateway_tunnels\{[^}]*\} (\d+)$/gm)
        return [...samples].reduce((sum, [, count]) => sum + Number(count), 0)
      },
    }
    gateways.push(gateway)
    return gateway
  }
  for (let index = 0; index < size; index++) await add(`bench-${index}`)
  return {
    gateways,
    controlPlane,
    async replace(old) {
      await add(old.name)
      old.child.signal('SIGTERM')
      await old.child.ended
      gateways.splice(gateways.indexOf(old), 1)
    },
    async stop() {
      await Promise.all(gateways.map(({ child }) => child.kill()))
      await controlPlane.stop()
      await store.stop()
    },
  }
}

async function startStore(): Promise<{ url: string; stop(): Promise<void> }> {
  const [port] = (await freePorts(1)) as [number]
  const program = findProgram('redis-server') ?? findProgram('valkey-server')
  if (program === null) {
    const server = createEmbeddedStoreServer({ host: HOST, port, token: secret() })
    await server.start()
    return { url: server.url, stop: () => server.stop() }
  }
  const settings = { port: String(port), bind: HOST, save: '', appendonly: 'no' }
  const child = startChild(
    program,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  )
  await child.waitFor(/Ready to accept connections/)
  return { url: `redis://${HOST}:${port}`, stop: () => child.stop() }
}
