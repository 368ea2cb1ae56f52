/** `npm run bench`: see `--help`. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startChild } from './children.ts'
import { measureIdleMemory } from './idle-memory.ts'
import { measure } from './measure.ts'
import { CONNECTIONS, type Measurement, type Subject } from './plan.ts'
import { idleText, page, table } from './report.ts'
import { startDirect } from './subjects/direct.ts'
import { PEERS, startPeer } from './subjects/peers.ts'
import { startWmoc } from './subjects/wmoc.ts'

const HELP = `npm run bench -- [options]

GET of 1,024 bytes through gateway and simulator, beside the peers found on the PATH, and the memory of idle tunnels.

  --connections LIST   default ${CONNECTIONS.join(',')}
  --seconds N          measured time of each run (default 5)
  --rounds N           default 3
  --tunnels N          idle tunnels, 0 for none (default 2000)
  --quick              one round of 2 s, 200 tunnels
  --write              write docs/performance.md
  --help               this text
`

const UPSTREAM = fileURLToPath(new URL('./processes/upstream.ts', import.meta.url))
const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: CONNECTIONS.join(',') },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    tunnels: { type: 'string' },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
const measureMs = Number(values.seconds ?? (values.quick ? 2 : 5)) * 1_000
const tunnels = Number(values.tunnels ?? (values.quick ? 200 : 2_000))
const levels = values.connections.split(',').map(Number)

const loadBefore = os.loadavg()[0]!
const upstreamServer = startChild(UPSTREAM, [])
const upstream = `http://127.0.0.1:${await upstreamServer.waitFor(/^\d+$/)}`
const subjects: Subject[] = [await startWmoc(upstream), await startDirect(upstream)]
const skipped: string[] = []
for (const peer of PEERS) {
  const subject = await startPeer(peer, upstream)
  if (subject === null) {
    skipped.push(peer.name)
    console.log(`${peer.name}: not on the PATH, skipped`)
  } else {
    subjects.push(subject)
  }
}

// Just-in-time compilers have seen the hot path before anything counts.
for (const subject of subjects) await measure(subject, 64, { warmupMs: 0, measureMs: 3_000 })
const measurements: Measurement[] = []
for (let round = 1; round <= rounds; round++) {
  for (const connections of levels) {
    for (const subject of subjects) {
      const one = await measure(subject, connections, { warmupMs: 1_000, measureMs })
      measurements.push(one)
      console.log(
        `round ${round}  ${connections} connections  ${subject.name}: ${one.requestsPerSecond.toFixed(0)} req/s`,
      )
    }
  }
}
for (const subject of subjects) await subject.stop()
await upstreamServer.stop()
console.log(`\n${table(measurements)}\n`)

const idle = tunnels > 0 ? await measureIdleMemory(tunnels, 5_000) : null
if (idle !== null) console.log(idleText(idle))

if (values.write) {
  const cpus = os.cpus()
  const memoryGib = (os.totalmem() / 2 ** 30).toFixed(0)
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  const text = page({
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus.length} cores (${cpus[0]!.model.trim()}), ${memoryGib} GiB, ${os.type()} ${os.release()}`,
    loadAverages: [loadBefore, os.loadavg()[0]!],
    versions: `commit ${commit}, Node ${process.versions.node}`,
    command: 'npm run bench -- --write',
    rounds,
    measureMs,
    notes: subjects.map(({ name, note }) => ({ subject: name, note })),
    skipped,
    measurements,
    idle,
  })
  writeFileSync(PAGE, text)
  console.log(`written to docs/performance.md`)
}
