/** `npm run bench`: see `--help`. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Context, Measured } from './plan.ts'
import { figuresOf, goalsText, page, sectionText } from './report.ts'
import { SCENARIOS } from './scenarios.ts'

const HELP = `npm run bench -- [options]

Gateways and a controller's agent before one upstream, beside the peers that are found, under the same load.

  --only LIST     some of: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --rounds N      default 3
  --seconds N     measured time of each run (default 4)
  --quick         one short round of everything
  --peers DIR     a folder with programs of peers, besides the PATH
  --write         write docs/performance.md; what was not measured now stays
  --help          this text

${SCENARIOS.map(({ name, help }) => `  ${name.padEnd(14)}  ${help}`).join('\n')}
`

const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
/** What the page is made of, so that a run of some scenarios keeps the others. */
const DATA = fileURLToPath(new URL('../docs/generated/performance.json', import.meta.url))

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    peers: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const wanted = values.only?.split(',') ?? SCENARIOS.map(({ name }) => name)
const unknown = wanted.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name))
if (unknown.length > 0) {
  process.stderr.write(`no such scenario: ${unknown.join(', ')}\n\n${HELP}`)
  process.exit(2)
}

const context: Context = {
  rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
  measureMs: Number(values.seconds ?? (values.quick ? 1 : 4)) * 1_000,
  isQuick: values.quick,
  path: [values.peers, process.env['PATH']].filter(Boolean).join(delimiter),
  log: (line) => console.log(`  ${line}`),
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
const found = new Map<string, Measured>()
for (const scenario of SCENARIOS.filter(({ name }) => wanted.includes(name))) {
  console.log(`${scenario.name}: ${scenario.help}`)
  const { rounds, measureMs } = context
  const before = os.loadavg()[0]!
  const section = await scenario.run(context)
  const at = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`
  found.set(scenario.name, { ...section, at, commit, load: [before, os.loadavg()[0]!], rounds, measureMs })
  console.log(`\n${sectionText(section)}`)
}
console.log(goalsText(figuresOf([...found.values()])))

if (values.write) {
  const cpus = os.cpus()
  const memoryGib = (os.totalmem() / 2 ** 30).toFixed(0)
  const kept = existsSync(DATA) ? (JSON.parse(readFileSync(DATA, 'utf8')) as Record<string, Measured>) : {}
  const all = { ...kept, ...Object.fromEntries(found) }
  writeFileSync(DATA, `${JSON.stringify(all, null, 2)}\n`)
  const text = page({
    machine: `${cpus.length} cores (${cpus[0]!.model.trim()}), ${memoryGib} GiB, ${os.type()} ${os.release()}`,
    versions: `Node ${process.versions.node}`,
    sections: SCENARIOS.flatMap(({ name }) => all[name] ?? []),
  })
  writeFileSync(PAGE, text)
  console.log(`written to docs/performance.md`)
}
