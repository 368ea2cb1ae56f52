/** `npm run chaos`: see `--help`. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { playChaos } from './soak/chaos.ts'
import { FAULTS } from './soak/faults.ts'
import type { FaultName } from './soak/faults.ts'
import { writeSection } from './soak/page.ts'
import { chaosText } from './soak/report.ts'
import { openFleetStage } from './soak/fleet-stage.ts'

const HELP = `npm run chaos -- [options]

Faults at random on a running platform under load: what must hold is checked after each. Loopback only.

  --seed N       the same faults in the same order (default: thrown)
  --faults N     how many (default 20)
  --only LIST    of these, by comma: ${Object.keys(FAULTS).join(', ')}
  --devices N    default 100
  --rate N       requests per second (default 50)
  --write        into docs/resilience.md
  --help         this text
`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    faults: { type: 'string', default: '20' },
    only: { type: 'string' },
    devices: { type: 'string', default: '100' },
    rate: { type: 'string', default: '50' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const step = (text: string) => console.log(`${(performance.now() / 1000).toFixed(1).padStart(7)} s  ${text}`)

async function main(): Promise<boolean> {
  const seed = values.seed === undefined ? randomInt(1, 2 ** 31) : Number(values.seed)
  const only = values.only?.split(',').filter((name): name is FaultName => name in FAULTS)
  const { stage, fleet, stop } = await openFleetStage({
    shards: 3,
    devices: Number(values.devices),
    timeoutMs: 120_000,
    gatewayEnv: { DRAIN_WINDOW_MS: '1000', DRAIN_DEADLINE_MS: '5000' },
    onDeath: (error) => {
      throw error
    },
  })
  try {
    step(`seed ${seed}, ${values.devices} devices online`)
    const report = await playChaos(stage, fleet, {
      seed,
      count: Number(values.faults),
      perSecond: Number(values.rate),
      ...(only ? { only } : {}),
      onStep: step,
    })
    const text = chaosText(
      report,
      `3 shards, ${values.devices} devices, ${values.rate} requests/s through the ingress.`,
      new Date().toISOString().slice(0, 10),
    )
    console.log(`\n${text}\n`)
    if (values.write) writeSection('chaos', text)
    return report.broken.length === 0
  } finally {
    await stop()
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
if (values.help) process.stdout.write(HELP)
else process.exit((await main()) ? 0 : 1)
