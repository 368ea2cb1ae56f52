/** WMOC: two shards, and a controller of each dialect whose tunnel is on the first. */
import { fileURLToPath } from 'node:url'
import { type BenchChild, eventually, startChild } from '../children.ts'
import { type BenchCluster, type BenchGateway, startCluster } from '../gateway.ts'
import type { Running, Subject } from '../plan.ts'

export const DIALECTS = ['v1', 'v2'] as const
export type Dialect = (typeof DIALECTS)[number]

export interface Wmoc extends Running {
  readonly cluster: BenchCluster
}

const DEVICE = fileURLToPath(new URL('../processes/device.ts', import.meta.url))
const HOST = '127.0.0.1'
const NOTE = 'path mode with a Bearer token; signature, access, limits and metrics on; no TLS'

/** Claims a controller and connects its agent, which stands before `upstream`, to the tunnel at `port`. */
export async function startDevice(
  { controlPlane }: BenchCluster,
  port: number,
  upstream: string,
  dialect: Dialect,
): Promise<{ readonly child: BenchChild; readonly prefix: string }> {
  const { controllerId, secret } = controlPlane.addController()
  const child = startChild(DEVICE, [`ws://${HOST}:${port}/tunnel`, upstream, dialect, controllerId, secret])
  await child.waitFor(/^online$/)
  return { child, prefix: `/c/${controllerId}` }
}

/**
 * @param upstream `http://host:port` behind each controller's agent.
 * @param withHop Also the same controllers asked at the other shard.
 */
export async function startWmoc(upstream: string, withHop: boolean): Promise<Wmoc> {
  // Tunnels stay where they are put.
  const cluster = await startCluster(withHop ? 2 : 1, { REBALANCE_PER_SECOND: '0' })
  const [home, other] = cluster.gateways as [BenchGateway, BenchGateway?]
  const Authorization = `Bearer ${cluster.controlPlane.accessToken}`
  const devices: BenchChild[] = []
  const subjects: Subject[] = []
  for (const dialect of DIALECTS) {
    const { child, prefix } = await startDevice(cluster, home.port, upstream, dialect)
    devices.push(child)
    const at = ({ port }: BenchGateway) => ({
      host: HOST,
      port,
      prefix,
      headers: { Host: `localhost:${port}`, Authorization },
    })
    subjects.push({ name: `WMOC ${dialect}`, note: NOTE, target: at(home), serverPids: [home.child.pid] })
    if (other === undefined) continue
    const url = `http://localhost:${other.port}${prefix}/data`
    await eventually('the hop', async () => (await fetch(url, { headers: { Authorization } })).ok)
    subjects.push({
      name: `WMOC ${dialect}, hop`,
      note: 'the same, asked at the shard that does not hold the tunnel; CPU and memory of both shards together',
      target: at(other),
      serverPids: [home.child.pid, other.child.pid],
    })
  }
  return {
    cluster,
    subjects,
    async stop() {
      for (const device of devices) await device.kill()
      await cluster.stop()
    },
  }
}
