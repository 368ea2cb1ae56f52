/** Every shard replaced while people work: what they notice, and how often each device had to connect anew. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DeviceReport } from './fleet.ts'
import type { KindName } from './kinds.ts'
import { startLoad } from './load.ts'
import type { LoadOptions, LoadReport } from './load.ts'
import type { RemoteFleet } from './remote-fleet.ts'
import type { Stage } from './stage.ts'

export interface RollingOptions {
  readonly load: Omit<LoadOptions, 'ports' | 'devices' | 'token'>
  /** `replace`: the new one is ready before the old one ends; `restart`: the old one has ended before. */
  readonly rounds: readonly ('replace' | 'restart')[]
  /** Load before, between and after. */
  readonly restMs: number
  /** The rounds begin anew until so many requests were sent. */
  readonly minRequests?: number
  readonly onStep?: (text: string) => void
}

export interface RollingReport {
  readonly load: LoadReport
  readonly rounds: readonly RoundReport[]
  /** POSTs and uploads that reached a device more than once; answered ones that never did. */
  readonly repeated: readonly string[]
  readonly lost: readonly string[]
  readonly invariants: readonly string[]
  readonly closeCodes: Readonly<Record<string, number>>
}

export interface RoundReport {
  readonly how: 'replace' | 'restart'
  /** Exit codes of the old gateways; null: a signal ended it. */
  readonly exitCodes: readonly (number | null)[]
  /** Most that one device connected anew while one shard was replaced. */
  readonly mostPerShard: number
  /** Of each kind of device: how often one connected anew, on average and at most. */
  readonly reconnects: Readonly<Partial<Record<KindName, { mean: number; max: number }>>>
}

/** The fleet must be online. */
export async function rollShards(
  stage: Stage,
  fleet: RemoteFleet,
  options: RollingOptions,
): Promise<RollingReport> {
  const { stack } = stage
  const step = options.onStep ?? (() => {})
  const load = startLoad({
    ...options.load,
    ports: [stack.port],
    devices: fleet.devices,
    token: stage.token,
  })
  const rounds: RoundReport[] = []
  await sleep(options.restMs)
  for (let turn = 0; turn < options.rounds.length || load.requests < (options.minRequests ?? 0); turn += 1) {
    const how = options.rounds[turn % options.rounds.length]!
    const before = await fleet.report()
    const exitCodes: (number | null)[] = []
    let mostPerShard = 0
    for (const name of [...new Set(stack.gateways().map((gateway) => gateway.name))].toSorted()) {
      const earlier = await fleet.report()
      exitCodes.push((await (how === 'replace' ? stack.replace(name) : stack.cycle(name))).code)
      await fleet.online(60_000)
      mostPerShard = Math.max(mostPerShard, ...connectedAnew(earlier, await fleet.report()))
      step(`${name}: ${how}, ${load.requests} requests, ${load.failed} failed`)
      await sleep(options.restMs)
    }
    rounds.push({ how, exitCodes, mostPerShard, reconnects: reconnects(before, await fleet.report()) })
  }
  const report = await load.stop()
  const arrived = await fleet.arrived()
  return {
    load: report,
    rounds,
    repeated: [...arrived].flatMap(([path, times]) => (times > 1 ? [path] : [])),
    lost: report.answeredPosts.filter((path) => !arrived.has(path)),
    invariants: await stage.invariants(),
    closeCodes: await fleet.closeCodes(),
  }
}

const connectedAnew = (before: readonly DeviceReport[], after: readonly DeviceReport[]) =>
  after.map(({ registrations }, index) => registrations - before[index]!.registrations)

function reconnects(
  before: readonly DeviceReport[],
  after: readonly DeviceReport[],
): RoundReport['reconnects'] {
  const found: Partial<Record<KindName, number[]>> = {}
  for (const [index, count] of connectedAnew(before, after).entries())
    (found[after[index]!.kind] ??= []).push(count)
  return Object.fromEntries(
    Object.entries(found).map(([kind, counts]) => [
      kind,
      { mean: counts.reduce((sum, count) => sum + count, 0) / counts.length, max: Math.max(...counts) },
    ]),
  )
}
