/** `npm run bench:model`: see `--help`. */
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { controllerIds, measureBalance } from './balance.ts'
import { simulateDeparture } from './departure.ts'
import { measureStore } from './measure-store.ts'
import { DRAIN_WINDOW_MS, LEASE_RENEW_MS, STORMS } from './plans.ts'
import { modelPage } from './report.ts'
import { storeLoad } from './store-load.ts'
import { simulateStorm } from './storm.ts'

const HELP = `npm run bench:model -- [options]

The real ring, admission and drain schedule at 1,000,000 controllers on 64 shards, simulated.

  --redis URL  also measure what the store's operations cost an empty Redis
  --write      write docs/performance-model.md
  --help       this text
`
const PAGE = fileURLToPath(new URL('../../docs/performance-model.md', import.meta.url))

const { values } = parseArgs({
  options: {
    redis: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}

const million = controllerIds(1_000_000)
const [cpu] = os.cpus()
const page = modelPage({
  date: new Date().toISOString().slice(0, 10),
  machine: `${os.cpus().length} cores (${cpu!.model.trim()}), Node ${process.versions.node}`,
  balances: [
    measureBalance(million.slice(0, 100_000), 3),
    measureBalance(million.slice(0, 100_000), 16),
    measureBalance(million, 64),
  ],
  loads: [storeLoad(10_000, 3, LEASE_RENEW_MS), storeLoad(1_000_000, 64, LEASE_RENEW_MS)],
  cost: values.redis === undefined ? null : await measureStore(values.redis),
  storms: STORMS.map(simulateStorm),
  departures: [
    simulateDeparture(500, 1, DRAIN_WINDOW_MS),
    simulateDeparture(10_000, 0.5, DRAIN_WINDOW_MS),
    simulateDeparture(15_625, 1, DRAIN_WINDOW_MS),
  ],
})
console.log(page)
if (values.write) {
  writeFileSync(PAGE, page)
  console.log('written to docs/performance-model.md')
}
