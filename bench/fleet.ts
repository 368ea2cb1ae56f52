/** Many idle controllers in one lean process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BenchChild, startChild } from './children.ts'
import type { BenchCluster } from './gateway.ts'

export interface FleetPlan {
  readonly ports: readonly number[]
  readonly dialect: 'v1' | 'v2'
  /** A file of JSON lines {controllerId, secret}. */
  readonly credentials: string
  /** New connections a second at first. */
  readonly ramp: number
}

/** How a fleet that was cut came back. Milliseconds from the cut. */
export interface StormFigures {
  readonly backMs: { readonly p50: number; readonly p99: number; readonly max: number }
  /** The most registrations within one second, and those of all the time it took. */
  readonly peakPerSecond: number
  readonly perSecond: number
  /** Connections that were told to come later, or failed. */
  readonly refusals: number
}

export interface Fleet {
  readonly child: BenchChild
  /** Resets every connection at once and waits until all are back. */
  cut(): Promise<StormFigures>
  stop(): Promise<void>
}

const FLEET = fileURLToPath(new URL('./processes/fleet.ts', import.meta.url))

/** Of one address come all of them, which no address of the world outside does. */
export const FLEET_SETTINGS = {
  CONNECTS_PER_ADDRESS_PER_SECOND: '100000',
  MAX_UNREGISTERED_PER_ADDRESS: '20000',
  MAX_UNREGISTERED: '20000',
}

/** Claims `count` controllers, connects them to the shards in turn and waits until all are registered. */
export async function startFleet(
  { gateways, controlPlane }: BenchCluster,
  count: number,
  dialect: FleetPlan['dialect'],
): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-bench-'))
  const credentials = join(folder, 'credentials')
  const lines = Array.from({ length: count }, () => JSON.stringify(controlPlane.addController()))
  writeFileSync(credentials, lines.join('\n'), { mode: 0o600 })
  const plan: FleetPlan = { ports: gateways.map(({ port }) => port), dialect, credentials, ramp: 400 }
  const child = startChild(FLEET, [JSON.stringify(plan)])
  await child.waitFor(/^online$/, 120_000)
  rmSync(folder, { recursive: true })
  return {
    child,
    async cut() {
      child.signal('SIGUSR2')
      return JSON.parse(await child.waitFor(/^\{/, 180_000)) as StormFigures
    },
    stop: () => child.kill(),
  }
}
