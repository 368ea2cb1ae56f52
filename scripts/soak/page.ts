/** `docs/resilience.md`: what was done to a running platform, when, and what its users noticed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../start/root.ts'

const PAGE = join(ROOT, 'docs/resilience.md')

const HEAD = `# Resilience

What was done to a running platform, and what its users noticed. Every part below is written by a command and says when;
short forms of all of it are tests in \`e2e/\`, run by \`npm test\`.

\`\`\`
npm run soak -- --write                 # rolling restarts and kill -9, some 25 minutes
npm run soak -- --only killed           # one of them
npm run chaos -- --faults 30 --write    # faults at random; --seed N plays the same ones again
\`\`\`

People are programs on the same machine that check every answer byte for byte: status, device, and for POSTs and uploads the
digest that the device made of the body. Devices count every POST and upload that reaches them. A quarter of the devices each
speaks dialect v1 and v2, with and without the features that let them hold two tunnels while one ends.
`

export type SectionName = 'rolling' | 'killed' | 'chaos'
const ORDER: readonly SectionName[] = ['rolling', 'killed', 'chaos']

/** Puts a section in the page, in place of the earlier one. */
export function writeSection(name: SectionName, text: string): void {
  writeFileSync(PAGE, withSection(existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '', name, text))
}

/** The page with that section; the others stay as they are, always in the same order. */
export function withSection(page: string, name: SectionName, text: string): string {
  const sections = ORDER.flatMap((each) => (each === name ? [mark(name, text)] : (find(page, each) ?? [])))
  return `${[HEAD.trim(), ...sections].join('\n\n')}\n`
}

const begin = (name: SectionName) => `<!-- ${name} -->`
const end = (name: SectionName) => `<!-- end of ${name} -->`
const mark = (name: SectionName, text: string) => `${begin(name)}\n${text.trim()}\n${end(name)}`

function find(page: string, name: SectionName): string | null {
  const from = page.indexOf(begin(name))
  const to = page.indexOf(end(name))
  return from < 0 || to < from ? null : page.slice(from, to + end(name).length)
}
