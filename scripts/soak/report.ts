/** Reports as Markdown, for the screen and the page alike. */
import { availableParallelism, cpus, loadavg } from 'node:os'
import type { ChaosReport } from './chaos.ts'
import type { KilledReport } from './killed.ts'
import type { LoadReport } from './load.ts'
import type { LongReport } from './long-users.ts'
import type { RollingReport } from './rolling.ts'

type Row = readonly [string, string | number]

const number = (value: number) => value.toLocaleString('en-GB', { maximumFractionDigits: 1 })

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? number(cell) : cell)).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const [LOAD_BEFORE] = loadavg() as [number]

function when(today: string): string {
  const others =
    LOAD_BEFORE > 0.5
      ? ` **Other work ran meanwhile (load average ${LOAD_BEFORE.toFixed(1)} before it began): trust counts, not times.**`
      : ''
  return `Measured on ${today} with Node ${process.versions.node} on ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), everything on that machine: gateways, API, worker, PostgreSQL, Redis, ingress, devices and people.${others}`
}

function longRows(what: string, report: LongReport): Row[] {
  return [
    [
      `${what}: begun, ended cleanly and begun again`,
      `${number(report.opened)}, ${number(report.endedCleanly)}`,
    ],
    [`${what}: cut, refused`, `${number(report.cut)}, ${number(report.refused)}`],
    [`${what}: longest time without a sign`, `${number(report.longestGapMs)} ms`],
  ]
}

function loadRows(load: LoadReport): Row[] {
  const { p50, p99, max } = load.latency
  return [
    ['requests (of them POST)', `${number(load.requests)} (${number(load.posts)})`],
    ['failed', load.failed],
    ['latency p50, p99, max', `${number(p50)}, ${number(p99)}, ${number(max)} ms`],
    [
      'longest time without a good answer, and that the asking process itself stood still',
      `${number(load.longestGapMs)}, ${number(load.stoodStillMs)} ms`,
    ],
  ]
}

export function rollingText(report: RollingReport, setup: string, today: string): string {
  const { load } = report
  const rows: Row[] = [
    ...loadRows(load),
    [
      'POSTs and uploads answered and lost, reached a device twice',
      `${report.lost.length}, ${report.repeated.length}`,
    ],
    ...longRows('event streams', load.streams),
    ...longRows('WebSockets', load.sockets),
    [
      'uploads of 4 s: answered well, failed',
      `${number(load.uploads.messages)}, ${number(load.uploads.cut)}`,
    ],
    ['exit codes of the old gateways', report.rounds.flatMap(({ exitCodes }) => exitCodes).join(' ')],
    ['broken invariants', report.invariants.length],
  ]
  const kinds = Object.keys(
    report.rounds[0]?.reconnects ?? {},
  ) as (keyof RollingReport['rounds'][number]['reconnects'])[]
  const rounds = report.rounds.map(({ how, reconnects }) => [
    how,
    ...kinds.map((kind) => `${number(reconnects[kind]!.mean)} (${reconnects[kind]!.max})`),
  ])
  return `## Rolling restart\n\n${setup} ${when(today)}\n\n${table(['', ''], rows)}

Connected anew per device and round, on average (and at most). In a round of \`replace\` the new gateway is ready before the old
one ends; in a round of \`restart\` the old one has ended before, so that a device can be sent on by one that follows.

${table(['round', ...kinds], rounds)}`
}

export function killedText(report: KilledReport, setup: string, today: string): string {
  const { p50, p99, max } = report.backMs
  const rows: Row[] = [
    ['tunnels, of them on the killed shard', `${number(report.tunnels)}, ${number(report.lost)}`],
    ['back elsewhere: p50, p99, max', `${number(p50)}, ${number(p99)}, ${number(max)} ms`],
    ['not back', report.notBack],
    ['registrations in the busiest second', report.registrationsPerSecond],
    ...loadRows(report.load).slice(0, 1),
    ['failed that met neither the killed shard nor its controllers', report.otherFailures.length],
    ['failed for its controllers after they were back', report.lateFailures.length],
    [
      'answers under way through it: cut, refused, taken for whole',
      `${report.inFlight.cut}, ${report.inFlight.refused}, ${report.inFlight.whole}`,
    ],
    ['POSTs that reached a device twice', report.repeated.length],
    ['broken invariants', report.invariants.length],
  ]
  return `## kill -9 of a shard\n\n${setup} ${when(today)}\n\n${table(['', ''], rows)}`
}

export function chaosText(report: ChaosReport, setup: string, today: string): string {
  const rows = report.faults.map(({ name, what, requests, failed, statuses, calmAfterMs }, index) => [
    index + 1,
    name,
    what,
    requests,
    failed === 0
      ? '0'
      : `${failed} (${Object.entries(statuses)
          .map(([status, times]) => `${times} × ${status}`)
          .join(', ')})`,
    `${number(calmAfterMs / 1_000)} s`,
  ])
  const broken =
    report.broken.length === 0
      ? 'Nothing was broken that must hold: no answer from a wrong device, no POST that reached a device twice, none answered that reached none, the books of every shard in order after every fault.'
      : `Broken:\n\n${report.broken.map((line) => `- ${line}`).join('\n')}`
  return `## Faults at random\n\n${setup} Seed ${report.seed}. ${when(today)}\n\n${broken}

${table(['', 'fault', '', 'requests', 'failed (status; 0: no answer)', 'all well after'], rows)}`
}
