/** What was measured as Markdown for people. Pure. */
import { goalRows } from './goals.ts'
import type { Cell, Figures, Measured, Section } from './plan.ts'

export interface Report {
  readonly machine: string
  readonly versions: string
  readonly sections: readonly Measured[]
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

/** Above so many other processes that want a core, latencies say more of them than of us. */
const BUSY = 1

function measuredText({ at, commit, load, rounds, measureMs }: Measured): string {
  const [before, after] = load
  const busy =
    before > BUSY ? ' **Other work ran meanwhile: trust ratios first, then CPU, latencies least.**' : ''
  const runs = `rounds: ${rounds} of ${(measureMs / 1_000).toFixed(0)} s`
  return `*${at}, commit ${commit}, load average ${before.toFixed(1)} before and ${after.toFixed(1)} after, ${runs}.*${busy}`
}

/** `docs/performance.md`. */
export function page({ machine, versions, sections }: Report): string {
  const texts = sections.map((section) =>
    sectionText({ ...section, about: `${section.about}\n\n${measuredText(section)}` }),
  )
  return `# Performance

Written by \`npm run bench -- --write\` from what was measured, last on this machine: ${machine}; ${versions}. Run it on your own before
you rely on it. Each table says when it was measured, and how busy the machine was.

Generator, upstream, gateway (or peer server) and device (or peer client) share the machine's cores, so req/s is what all of
them reach together. CPU and memory are those of the process in the middle alone. Medians of rounds; in every round all
subjects are measured in turn.

## Goals

${goalsText(figuresOf(sections))}

Rolling restarts and killed shards under load are \`npm run soak\`; a million controllers on 64 shards are simulated by \`npm run bench:model\`.

${texts.join('\n')}
## How to repeat

\`\`\`
npm run bench                           # tables on the screen
npm run bench -- --write                # and into this file
npm run bench -- --quick                # one short round
npm run bench -- --only small,hop       # some of it; with --write the other tables stay
npm run bench -- --peers DIR            # programs of peers that are not on the PATH
\`\`\`

Peers are measured when their programs are found: \`piko\`; \`frps\` and \`frpc\`; \`rathole\`; \`bore\`; \`chisel\`; \`wstunnel\`.
`
}
