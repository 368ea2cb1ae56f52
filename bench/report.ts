/** Measurements as a table for people. Pure. */
import type { IdleMemory, Measurement } from './plan.ts'
import { median } from './stats.ts'

export interface Report {
  readonly date: string
  readonly machine: string
  /** Of one minute, before and after: of a machine that does nothing else the first is near 0. */
  readonly loadAverages: readonly [number, number]
  readonly versions: string
  readonly command: string
  readonly rounds: number
  readonly measureMs: number
  readonly notes: readonly { subject: string; note: string }[]
  readonly skipped: readonly string[]
  readonly measurements: readonly Measurement[]
  readonly idle: IdleMemory | null
}

const HEADINGS = ['', 'connections', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'failed', 'vs WMOC req/s']
const OWN = 'WMOC'

/** The rounds of one subject at one number of connections, as one row: medians, and all failures. */
export function summarise(measurements: readonly Measurement[]): Measurement[] {
  const groups = Map.groupBy(measurements, ({ subject, connections }) => `${connections} ${subject}`)
  return [...groups.values()].map((group) => {
    const middle = (pick: (one: Measurement) => number) => median(group.map(pick))
    return {
      ...group[0]!,
      requestsPerSecond: middle((one) => one.requestsPerSecond),
      p50Ms: middle((one) => one.p50Ms),
      p99Ms: middle((one) => one.p99Ms),
      cpuPerRequestUs: group[0]!.cpuPerRequestUs === null ? null : middle((one) => one.cpuPerRequestUs ?? 0),
      generatorCpu: middle((one) => one.generatorCpu),
      failures: group.reduce((sum, one) => sum + one.failures, 0),
    }
  })
}

/** The table of all rows as Markdown. */
export function table(measurements: readonly Measurement[]): string {
  const rows = summarise(measurements).toSorted((a, b) => a.connections - b.connections)
  const own = new Map(
    rows.filter((row) => row.subject === OWN).map((row) => [row.connections, row.requestsPerSecond]),
  )
  const cells = rows.map((row) => [
    row.subject,
    String(row.connections),
    row.requestsPerSecond.toFixed(0),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.cpuPerRequestUs === null ? '–' : row.cpuPerRequestUs.toFixed(0),
    String(row.failures),
    own.has(row.connections) ? `${(row.requestsPerSecond / own.get(row.connections)!).toFixed(2)} ×` : '–',
  ])
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...cells.map((row) => row[i]!.length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(HEADINGS), rule, ...cells.map(line)].join('\n')
}

/** One sentence. */
export function idleText({ tunnels, beforeBytes, afterBytes }: IdleMemory): string {
  const kibPerTunnel = (afterBytes - beforeBytes) / tunnels / 1_024
  const mib = (bytes: number) => `${(bytes / 1_048_576).toFixed(0)} MiB`
  return (
    `${tunnels.toLocaleString('en')} idle tunnels took the gateway from ${mib(beforeBytes)} to ${mib(afterBytes)} ` +
    `of resident memory: ${kibPerTunnel.toFixed(1)} KiB a tunnel.`
  )
}

/** `docs/performance.md`. */
export function page(report: Report): string {
  const busiest = Math.max(...report.measurements.map((one) => one.generatorCpu))
  return `# Performance

Written by \`${report.command}\`; every figure below is from that one run. Run it on your own machine before you rely on it.

- ${report.date}, ${report.machine}
- ${report.versions}
- Load average ${report.loadAverages.map((load) => load.toFixed(1)).join(' before and ')} after.${
    report.loadAverages[0] > 0.5
      ? ' **Other work ran meanwhile: trust CPU per request, not req/s and latency.**'
      : ''
  }
- Generator, upstream, gateway (or peer server) and device (or peer client) share this machine's cores, so req/s is what
  all of them reach together. CPU per request is that of the process in the middle alone.
- The generator took at most ${(busiest * 100).toFixed(0)} % of one core.

## GET of 1,024 bytes

Medians of ${report.rounds} rounds of ${(report.measureMs / 1_000).toFixed(0)} s each; in every round all subjects are measured in turn.

${table(report.measurements)}

${report.notes.map(({ subject, note }) => `- **${subject}**: ${note}.`).join('\n')}
${report.skipped.map((name) => `- **${name}**: not on the PATH, skipped.`).join('\n')}

## Idle memory

${report.idle === null ? 'Not measured in this run.' : idleText(report.idle)}
Resident memory of the gateway's process by \`/proc\`; the first 50 tunnels are open before the first reading. Peers are not
measured: they hold many endpoints on one connection, which is another thing.

## How to repeat

\`\`\`
npm run bench                       # table on the screen
npm run bench -- --write            # and into this file
npm run bench -- --quick            # one short round
npm run bench -- --connections 64 --seconds 10 --rounds 5 --tunnels 10000
\`\`\`

Peers are measured when their programs are on the PATH: \`piko\`; \`frps\` and \`frpc\`; \`rathole\`.
`
}
