/** What an idle tunnel costs the gateway. */
import { sleep } from '../children.ts'
import { FLEET_SETTINGS, startFleet } from '../fleet.ts'
import { startCluster } from '../gateway.ts'
import type { Cell, Context, Scenario } from '../plan.ts'
import { residentBytes } from '../proc.ts'
import { type Dialect, DIALECTS } from '../subjects/wmoc.ts'

/** Opened and closed first, so that code and pools that every gateway has are not counted. */
const FIRST = 100
const MIB = 1_048_576
/** V8 gives back what the registrations left behind. */
const SETTLE_MS = 12_000

interface Found {
  readonly tunnels: number
  readonly dialect: Dialect
  readonly beforeBytes: number
  readonly afterBytes: number
  readonly kb: number
}

async function look(dialect: Dialect, tunnels: number, settleMs: number): Promise<Found> {
  const cluster = await startCluster(1, FLEET_SETTINGS)
  const pids = cluster.gateways.map(({ child }) => child.pid)
  const first = await startFleet(cluster, FIRST, dialect)
  await sleep(settleMs)
  const beforeBytes = residentBytes(pids)
  const rest = await startFleet(cluster, tunnels, dialect)
  await sleep(settleMs)
  const afterBytes = residentBytes(pids)
  await Promise.all([first.stop(), rest.stop()])
  await cluster.stop()
  return { tunnels, dialect, beforeBytes, afterBytes, kb: (afterBytes - beforeBytes) / tunnels / 1_000 }
}

export const idle: Scenario = {
  name: 'idle',
  help: 'resident memory of 2,000 and 10,000 idle tunnels',
  async run(context: Context) {
    const counts = context.isQuick ? [200] : [2_000, 10_000]
    const found: Found[] = []
    for (const tunnels of counts) {
      for (const dialect of DIALECTS) {
        const one = await look(dialect, tunnels, context.isQuick ? 1_000 : SETTLE_MS)
        found.push(one)
        context.log(`${tunnels} × ${dialect}: ${one.kb.toFixed(1)} KB`)
      }
    }
    const most = found.filter(({ tunnels }) => tunnels === 10_000)
    return {
      title: 'Idle tunnels',
      about:
        `Resident memory of the gateway's process with ${FIRST} tunnels and with so many more, ${SETTLE_MS / 1_000} s after ` +
        'the last came; the kernel’s memory of the sockets is not in it. Peers are not measured: they hold many endpoints on one connection.',
      headings: ['', 'tunnels', 'before MiB', 'after MiB', 'KB a tunnel'],
      rows: found.map(({ tunnels, dialect, beforeBytes, afterBytes, kb }): Cell[] => [
        `WMOC ${dialect}`,
        tunnels.toLocaleString('en'),
        (beforeBytes / MIB).toFixed(0),
        (afterBytes / MIB).toFixed(0),
        kb.toFixed(1),
      ]),
      notes: [],
      figures: most.length === 0 ? {} : { idleKb: Math.max(...most.map(({ kb }) => kb)) },
    }
  },
}
