/** Many bytes in both directions. */
import { fileURLToPath } from 'node:url'
import { startChild } from '../children.ts'
import type { Cell, Context, Scenario, Subject } from '../plan.ts'
import { cpuTimeUs, peakBytes, resetPeak, residentBytes } from '../proc.ts'
import { notesOf, startStage } from '../stage.ts'
import { median } from '../stats.ts'
import type { TransferFigures, TransferPlan } from '../transfer.ts'

const TRANSFER = fileURLToPath(new URL('../processes/transfer.ts', import.meta.url))
/** The largest body that a controller of dialect v1 takes. */
const PIECE_BYTES = 15 * 1_048_576
const PARALLEL = 2
const GB = 1_000_000_000
const MB = 1_000_000

interface Moved {
  readonly subject: string
  readonly direction: TransferPlan['direction']
  readonly mbPerSecond: number
  readonly cpuSecPerGb: number
  readonly growthMb: number
  readonly failures: string
}

async function move(subject: Subject, direction: TransferPlan['direction'], bytes: number): Promise<Moved> {
  const { name, target, serverPids } = subject
  const pieces = Math.ceil(bytes / PIECE_BYTES)
  const plan: TransferPlan = { target, direction, pieceBytes: PIECE_BYTES, pieces, parallel: PARALLEL }
  const before = { cpu: cpuTimeUs(serverPids), memory: residentBytes(serverPids) }
  resetPeak(serverPids)
  const child = startChild(TRANSFER, [JSON.stringify(plan)])
  const figures = JSON.parse(await child.waitFor(/^\{/, 300_000)) as TransferFigures
  const moved = pieces * PIECE_BYTES
  return {
    subject: name,
    direction,
    mbPerSecond: moved / MB / figures.seconds,
    cpuSecPerGb: (cpuTimeUs(serverPids) - before.cpu) / 1_000_000 / (moved / GB),
    growthMb: (peakBytes(serverPids) - before.memory) / MB,
    failures: Object.entries(figures.failures)
      .map(([reason, count]) => `${count} × ${reason}`)
      .join(', '),
  }
}

export const bulk: Scenario = {
  name: 'bulk',
  help: 'half a gigabyte down and up in pieces of 15 MiB, two at a time',
  async run(context: Context) {
    const stage = await startStage(context, { withHop: false, withPeers: true })
    const subjects = [...stage.subjects, stage.floor]
    const bytes = (context.isQuick ? 0.12 : 0.5) * GB
    const directions = ['download', 'upload'] as const
    const all: Moved[] = []
    for (const subject of subjects)
      for (const direction of directions) await move(subject, direction, PIECE_BYTES * 4)
    for (let round = 1; round <= context.rounds; round++) {
      for (const direction of directions) {
        for (const subject of subjects) {
          const one = await move(subject, direction, bytes / context.rounds)
          all.push(one)
          context.log(
            `round ${round}, ${direction}, ${one.subject}: ${one.cpuSecPerGb.toFixed(2)} s/GB ${one.failures}`,
          )
        }
      }
    }
    await stage.stop()
    const rows = summarise(all)
    const find = (subject: string, direction: string) =>
      rows.find((row) => row.subject === subject && row.direction === direction)
    return {
      title: 'Bulk transfers',
      about:
        `${(bytes / GB).toFixed(2)} GB each way over all rounds, in pieces of 15 MiB, ${PARALLEL} at a time. ` +
        'CPU and memory are those of the processes in the middle; growth is the highest resident memory over that before.',
      headings: ['', 'direction', 'MB/s', 'CPU s/GB', 'growth MB', 'failed'],
      rows: rows.map((row): Cell[] => [
        row.subject,
        row.direction,
        row.mbPerSecond.toFixed(0),
        row.cpuSecPerGb.toFixed(2),
        row.growthMb.toFixed(0),
        row.failures === '' ? 0 : row.failures,
      ]),
      notes: [...notesOf(subjects), ...stage.notes],
      figures: {
        downloadCpuSecPerGb: find('WMOC v2', 'download')!.cpuSecPerGb,
        uploadCpuSecPerGb: find('WMOC v2', 'upload')!.cpuSecPerGb,
        bulkGrowthMb: Math.max(find('WMOC v2', 'download')!.growthMb, find('WMOC v2', 'upload')!.growthMb),
      },
    }
  },
}

/** Medians over rounds; of memory the worst; every failure. */
function summarise(all: readonly Moved[]): Moved[] {
  const groups = Map.groupBy(all, ({ subject, direction }) => `${direction} ${subject}`)
  return [...groups.values()].map((group) => ({
    ...group[0]!,
    mbPerSecond: median(group.map(({ mbPerSecond }) => mbPerSecond)),
    cpuSecPerGb: median(group.map(({ cpuSecPerGb }) => cpuSecPerGb)),
    growthMb: Math.max(...group.map(({ growthMb }) => growthMb)),
    failures: group.flatMap(({ failures }) => failures || []).join(', '),
  }))
}
