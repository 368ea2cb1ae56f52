/** A rolling update as a schedule: when the tunnels of one shard are told to go, and how fast they arrive elsewhere. */
import { planDrain } from '../../tunnel-gateway/src/core/drain-schedule.ts'
import { seeded } from './random.ts'

export interface Departure {
  readonly tunnels: number
  readonly overlapShare: number
  readonly windowMs: number
  /** Until the last one was told. */
  readonly toldWithinMs: number
  /** Most arrivals in any second, of all other shards together. */
  readonly peakArrivalsPerSecond: number
}

export function simulateDeparture(tunnels: number, overlapShare: number, windowMs: number): Departure {
  const random = seeded(7)
  const all = Array.from({ length: tunnels }, () => random() < overlapShare)
  const plan = planDrain(all, (hasOverlap) => hasOverlap, windowMs, random)
  const bySecond = new Map<number, number>()
  let last = 0
  for (const { afterMs, reconnectAfterMs } of plan) {
    last = Math.max(last, afterMs)
    const second = Math.floor((afterMs + reconnectAfterMs) / 1_000)
    bySecond.set(second, (bySecond.get(second) ?? 0) + 1)
  }
  return {
    tunnels,
    overlapShare,
    windowMs,
    toldWithinMs: last,
    peakArrivalsPerSecond: Math.max(...bySecond.values()),
  }
}
