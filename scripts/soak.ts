/** `npm run soak`: see `--help`. */
import { parseArgs } from 'node:util'
import { openFleetStage } from './soak/fleet-stage.ts'
import { killShard } from './soak/killed.ts'
import { writeSection } from './soak/page.ts'
import { killedText, rollingText } from './soak/report.ts'
import { rollShards } from './soak/rolling.ts'
import { openStage } from './soak/stage.ts'
import { openWideFleet } from './soak/wide-fleet.ts'

const HELP = `npm run soak -- [options]

Rolling restarts and kill -9 of a shard under load, on a platform of its own. Loopback only, bounded in time.

  --only rolling|killed   one of the two
  --devices N             of the rolling restart (default 500)
  --rate N                requests per second (default 200)
  --requests N            at least so many (default 100000)
  --tunnels N             of kill -9 (default 10000: gateways, fleets and ingresses need ulimit -n 12000)
  --quick                 60 devices, 50 requests/s, 2,000 requests; 300 tunnels
  --write                 into docs/resilience.md
  --help                  this text
`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    devices: { type: 'string' },
    rate: { type: 'string' },
    requests: { type: 'string' },
    tunnels: { type: 'string' },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const count = (name: 'devices' | 'rate' | 'requests' | 'tunnels', usual: number, quick: number) =>
  Number(values[name] ?? (values.quick ? quick : usual))
const today = new Date().toISOString().slice(0, 10)
const step = (text: string) => console.log(`${(performance.now() / 1000).toFixed(1).padStart(7)} s  ${text}`)
/** A gateway that ends unasked spoils the whole run. */
const onDeath = (error: Error) => {
  throw error
}

async function rolling(): Promise<boolean> {
  const devices = count('devices', 500, 60)
  const perSecond = count('rate', 200, 50)
  const { stage, fleet, stop } = await openFleetStage({
    shards: 3,
    devices,
    perSecond: 200,
    timeoutMs: 120_000,
    gatewayEnv: { DRAIN_WINDOW_MS: '5000', DRAIN_DEADLINE_MS: '10000' },
    onDeath,
  })
  try {
    step(`${devices} devices online`)
    const report = await rollShards(stage, fleet, {
      load: { perSecond, streams: 10, sockets: 10, uploads: 10 },
      rounds: ['replace', 'replace', 'restart'],
      restMs: values.quick ? 1_000 : 10_000,
      minRequests: count('requests', 100_000, 2_000),
      onStep: step,
    })
    const text = rollingText(
      report,
      `3 shards, every one replaced, replaced and restarted, and so on; ${devices} devices, ${perSecond} requests/s (two in five POST), 10 event streams, 10 WebSockets, 10 slow uploads at a time.`,
      today,
    )
    console.log(`\n${text}\n`)
    for (const failure of report.load.failures.slice(0, 20)) console.log(failure)
    for (const users of [report.load.streams, report.load.sockets, report.load.uploads])
      for (const problem of users.problems) console.log(problem)
    if (values.write) writeSection('rolling', text)
    const { load } = report
    const broken = load.failed + load.streams.cut + load.sockets.cut + load.uploads.cut
    return broken + report.repeated.length + report.lost.length + report.invariants.length === 0
  } finally {
    await stop()
  }
}

async function killed(): Promise<boolean> {
  const tunnels = count('tunnels', 10_000, 300)
  const stage = await openStage({ shards: 5, onDeath })
  try {
    const fleet = await openWideFleet(stage, await stage.provision(tunnels))
    try {
      const startedAt = Date.now()
      await fleet.start(1_000)
      await fleet.online(300_000)
      step(`${tunnels} devices online after ${Date.now() - startedAt} ms`)
      const report = await killShard(stage, fleet, {
        victim: 'gateway-2',
        load: { perSecond: 50 },
        restMs: 5_000,
        timeoutMs: 90_000,
        inFlight: 50,
      })
      const text = killedText(
        report,
        `5 shards, ${tunnels} tunnels, 50 requests/s to every shard in turn; one shard killed.`,
        today,
      )
      console.log(`\n${text}\n`)
      for (const failure of [...report.otherFailures, ...report.lateFailures].slice(0, 20))
        console.log(failure)
      if (values.write) writeSection('killed', text)
      return (
        report.notBack +
          report.otherFailures.length +
          report.lateFailures.length +
          report.inFlight.whole +
          report.repeated.length +
          report.invariants.length ===
        0
      )
    } finally {
      await fleet.stop()
    }
  } finally {
    await stage.stop()
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
if (values.help) process.stdout.write(HELP)
else {
  const parts = { rolling, killed }
  let isGood = true
  for (const [name, part] of Object.entries(parts)) {
    if (values.only !== undefined && values.only !== name) continue
    isGood = (await part()) && isGood
  }
  process.exit(isGood ? 0 : 1)
}
