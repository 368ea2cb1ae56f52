/** What was measured as Markdown for people. Pure. */
import { goalRows } from './goals.ts'
import type { Cell, Figures, Section } from './plan.ts'

export interface Report {
  readonly date: string
  readonly machine: string
  /** Of one minute, before and after: of a machine that does nothing else the first is near 0. */
  readonly loadAverages: readonly [number, number]
  readonly versions: string
  readonly command: string
  readonly rounds: number
  readonly measureMs: number
  readonly sections: readonly Section[]
}

/** A table; first column to the left, numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (cell === null ? '–' : String(cell))))
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, 2, ...cells.map((row) => row[i]!.length)),
  )
  const isLeft = (i: number) => i === 0
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (isLeft(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`
  const rule = widths
    .map((width, i) => (isLeft(i) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
    .join(' | ')
  return [line(headings), `| ${rule} |`, ...cells.map(line)].join('\n')
}

export function sectionText({ title, about, headings, rows, notes }: Section): string {
  const list = notes.map((note) => `- ${note}`).join('\n')
  return `## ${title}\n\n${about}\n\n${table(headings, rows)}\n${list === '' ? '' : `\n${list}\n`}`
}

export function figuresOf(sections: readonly Section[]): Figures {
  return Object.assign({}, ...sections.map(({ figures }) => figures)) as Figures
}

export function goalsText(figures: Figures): string {
  return table(['', 'goal', 'measured', 'reached'], goalRows(figures))
}

/** `docs/performance.md`. */
export function page(report: Report): string {
  const [before, after] = report.loadAverages
  return `# Performance

Written by \`${report.command}\`; every figure below is from that one run. Run it on your own machine before you rely on it.

- ${report.date}, ${report.machine}
- ${report.versions}
- Load average ${before.toFixed(1)} before and ${after.toFixed(1)} after.${
    before > 0.5 ? ' **Other work ran meanwhile: trust ratios first, then CPU, and latencies least.**' : ''
  }
- Generator, upstream, gateway (or peer server) and device (or peer client) share this machine's cores, so req/s is what
  all of them reach together. CPU and memory are those of the process in the middle alone.
- Medians of ${report.rounds} rounds of ${(report.measureMs / 1_000).toFixed(0)} s unless a table says otherwise; in every round all subjects are measured in turn.

## Goals

${goalsText(figuresOf(report.sections))}

Rolling restarts and killed shards under load are \`npm run soak\`; a million controllers on 64 shards are simulated by \`npm run bench:model\`.

${report.sections.map(sectionText).join('\n')}
## How to repeat

\`\`\`
npm run bench                           # tables on the screen
npm run bench -- --write                # and into this file
npm run bench -- --quick                # one short round
npm run bench -- --only small,hop       # some of it
npm run bench -- --peers DIR            # programs of peers that are not on the PATH
\`\`\`

Peers are measured when their programs are found: \`piko\`; \`frps\` and \`frpc\`; \`rathole\`; \`bore\`; \`chisel\`; \`wstunnel\`.
`
}
