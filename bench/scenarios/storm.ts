/** All controllers of a shard lose their connections in one moment. */
import { FLEET_SETTINGS, type StormFigures, startFleet } from '../fleet.ts'
import { startCluster } from '../gateway.ts'
import type { Cell, Scenario } from '../plan.ts'
import { cpuTimeUs } from '../proc.ts'
import { type Dialect, DIALECTS } from '../subjects/wmoc.ts'

interface Found extends StormFigures {
  readonly dialect: Dialect
  readonly cpuMs: number
}

export const storm: Scenario = {
  name: 'storm',
  help: '10,000 tunnels cut at once: how they come back',
  async run(context) {
    const tunnels = context.isQuick ? 500 : 10_000
    const found: Found[] = []
    for (const dialect of DIALECTS) {
      const cluster = await startCluster(1, FLEET_SETTINGS)
      const fleet = await startFleet(cluster, tunnels, dialect)
      const pids = cluster.gateways.map(({ child }) => child.pid)
      const before = cpuTimeUs(pids)
      const figures = await fleet.cut()
      found.push({ ...figures, dialect, cpuMs: (cpuTimeUs(pids) - before) / 1_000 / tunnels })
      context.log(
        `${dialect}: p99 ${(figures.backMs.p99 / 1_000).toFixed(2)} s, ${figures.perSecond.toFixed(0)} registrations/s`,
      )
      await fleet.stop()
      await cluster.stop()
    }
    const slowest = Math.max(...found.map(({ backMs }) => backMs.p99))
    const fewest = Math.min(...found.map(({ perSecond }) => perSecond))
    const seconds = (ms: number) => (ms / 1_000).toFixed(2)
    return {
      title: 'Reconnect storm',
      about:
        `${tunnels.toLocaleString('en')} tunnels of one shard are reset in one moment; each controller comes back within a ` +
        'second by itself, or later when it is told so. Signatures, epochs in the store and admission as in production, the ' +
        'control plane without a database.',
      headings: [
        '',
        'p50 s',
        'p99 s',
        'last s',
        'registrations/s',
        'in the best second',
        'told to wait',
        'CPU ms each',
      ],
      rows: found.map(({ dialect, backMs, perSecond, peakPerSecond, refusals, cpuMs }): Cell[] => [
        `WMOC ${dialect}`,
        seconds(backMs.p50),
        seconds(backMs.p99),
        seconds(backMs.max),
        perSecond.toFixed(0),
        peakPerSecond,
        refusals,
        cpuMs.toFixed(2),
      ]),
      notes: [],
      figures: context.isQuick ? {} : { backP99Sec: slowest / 1_000, registrationsPerSec: fewest },
    }
  },
}
