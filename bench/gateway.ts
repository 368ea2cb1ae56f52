/** One gateway as in production, with limits, metrics and the shared store on, and a control plane without database. */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createEmbeddedStoreServer } from '@wmoc/platform/embedded-store-server'
import { findProgram } from '../scripts/start/leash.ts'
import { freePorts } from '../scripts/start/ports.ts'
import { type BenchChild, eventually, startChild } from './children.ts'
import { type BenchControlPlane, startControlPlane } from './control-plane.ts'

export interface BenchGateway {
  readonly child: BenchChild
  readonly port: number
  readonly adminPort: number
  readonly controlPlane: BenchControlPlane
  /** Registered tunnels, by its own gauge. */
  tunnels(): Promise<number>
  stop(): Promise<void>
}

const MAIN = fileURLToPath(new URL('../tunnel-gateway/src/main.ts', import.meta.url))
const secret = () => randomBytes(32).toString('base64url')

/** Starts it and waits until it is ready. */
export async function startGateway(): Promise<BenchGateway> {
  const [port, adminPort, storePort] = (await freePorts(3)) as [number, number, number]
  const credentialKey = secret()
  const controlPlane = await startControlPlane(credentialKey)
  const store = await startStore(storePort)
  const child = startChild(MAIN, [], {
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    HOST: '127.0.0.1',
    PORT: String(port),
    ADMIN_HOST: '127.0.0.1',
    ADMIN_PORT: String(adminPort),
    SHARD_ID: 'bench',
    REDIS_URL: store.url,
    CONTROL_PLANE_URL: controlPlane.url,
    INTERNAL_TOKEN: secret(),
    DEVICE_CREDENTIAL_KEY: credentialKey,
    PAGE_COOKIE_KEY: secret(),
    PUBLIC_URL: `http://localhost:${port}`,
    DEVICE_DOMAIN: '',
    TRUSTED_HOPS: '0',
  })
  const admin = (path: string) => fetch(`http://127.0.0.1:${adminPort}${path}`)
  await eventually('the gateway', async () => (await admin('/readyz')).ok)
  return {
    child,
    port,
    adminPort,
    controlPlane,
    async tunnels() {
      const text = await (await admin('/metrics')).text()
      return Number(/^wmoc_gateway_tunnels\{[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0)
    },
    async stop() {
      await child.stop()
      await controlPlane.stop()
      await store.stop()
    },
  }
}

async function startStore(port: number): Promise<{ url: string; stop(): Promise<void> }> {
  const program = findProgram('redis-server') ?? findProgram('valkey-server')
  if (program === null) {
    const server = createEmbeddedStoreServer({ host: '127.0.0.1', port, token: secret() })
    await server.start()
    return { url: server.url, stop: () => server.stop() }
  }
  const child = startChild(program, [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
  ])
  await child.waitFor(/Ready to accept connections/)
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.stop() }
}
