/** A sequence of faults under load, and what must hold however it goes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createDice, FAULTS } from './faults.ts'
import type { FaultName } from './faults.ts'
import { startLoad } from './load.ts'
import type { Failure, Load, LoadReport } from './load.ts'
import type { RemoteFleet } from './remote-fleet.ts'
import type { Stage } from './stage.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly count: number
  readonly perSecond: number
  readonly only?: readonly FaultName[]
  readonly onStep?: (text: string) => void
}

export interface ChaosReport {
  readonly seed: number
  readonly faults: readonly FaultReport[]
  readonly load: LoadReport
  /** What must be empty: promises that were broken. */
  readonly broken: readonly string[]
}

export interface FaultReport {
  readonly name: FaultName
  readonly what: string
  readonly requests: number
  /** While it lasted and until everything was right again. */
  readonly failed: number
  /** Their statuses, and how often each came; 0: no answer. */
  readonly statuses: Readonly<Record<number, number>>
  /** From its undoing until every device was online and a whole second of requests went well. */
  readonly calmAfterMs: number
}

/** After a fault everything must be right again within this time. */
const CALM_MS = 90_000

/** The fleet must be online. Stops at the first fault that the platform does not get over. */
export async function playChaos(
  stage: Stage,
  fleet: RemoteFleet,
  options: ChaosOptions,
): Promise<ChaosReport> {
  const dice = createDice(options.seed)
  const names = options.only ?? (Object.keys(FAULTS) as FaultName[])
  const [twin] = await stage.provision(1, 'v1')
  const load = startLoad({
    perSecond: options.perSecond,
    ports: [stage.stack.port],
    devices: fleet.devices,
    token: stage.token,
  })
  const faults: FaultReport[] = []
  const broken: string[] = []
  await sleep(1_000)
  while (faults.length < options.count && broken.length === 0) {
    const name = dice.pick(names)
    const before = { requests: load.requests, failed: load.failed, told: load.failures.length }
    const what = await FAULTS[name]({ stage, fleet, twin: twin!, dice })
    const undoneAt = performance.now()
    const isCalm = await waitForCalm(fleet, load)
    const calmAfterMs = performance.now() - undoneAt
    if (!isCalm) broken.push(`not over ${name} (${what}) after ${CALM_MS} ms`)
    broken.push(...(await stage.invariants()))
    const report = {
      name,
      what,
      requests: load.requests - before.requests,
      failed: load.failed - before.failed,
      statuses: countStatuses(load.failures.slice(before.told)),
      calmAfterMs,
    }
    faults.push(report)
    options.onStep?.(
      `${faults.length} ${name}: ${what}; ${report.failed} of ${report.requests} requests failed, calm after ${(calmAfterMs / 1_000).toFixed(1)} s`,
    )
  }
  const report = await load.stop()
  const arrived = await fleet.arrived()
  for (const { why, path } of report.failures)
    if (why.startsWith('wrong answer')) broken.push(`${path}: ${why}`)
  for (const [path, times] of arrived) if (times > 1) broken.push(`${path} reached a device ${times} times`)
  for (const path of report.answeredPosts)
    if (!arrived.has(path)) broken.push(`${path} was answered and never reached a device`)
  return { seed: options.seed, faults, load: report, broken }
}

function countStatuses(failures: readonly Failure[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of failures) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

async function waitForCalm(fleet: RemoteFleet, load: Load): Promise<boolean> {
  const deadline = Date.now() + CALM_MS
  while (Date.now() < deadline) {
    const { failed, requests } = load
    await sleep(1_000)
    const isOnline = (await fleet.report()).every((device) => device.isOnline)
    if (isOnline && load.failed === failed && load.requests > requests) return true
  }
  return false
}
