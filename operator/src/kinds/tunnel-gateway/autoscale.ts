/** How many shards the tunnels need. Pure; its memory is the status, and losing it only makes it wait once more. */
import { durationMs } from '#src/crds/fields.ts'
import type { TunnelGatewaySpec } from './schema.ts'
import { fleetTunnels } from './world.ts'
import type { Shard } from './world.ts'

export interface Recommendation {
  readonly replicas: number
  /** Since when fewer than there are would do; null: they would not. */
  readonly lowSinceMs: number | null
}

export interface Autoscaling {
  readonly recommendation: Recommendation
  /** What `spec.replicas` should become; null: stays. */
  readonly scaleTo: number | null
}

/**
 * Up at once, down only after fewer were enough for the whole of `scaleDownStabilization`, and then to the most that was
 * needed meanwhile. Null where it is not asked for, or a shard does not tell its figures.
 * @param before the last recommendation, from the status
 */
export function autoscale(
  spec: TunnelGatewaySpec,
  shards: readonly Shard[],
  before: Recommendation | null,
  nowMs: number,
): Autoscaling | null {
  const { autoscaling } = spec
  if (autoscaling === undefined) return null
  if (shards.some(({ isRunning, report }) => isRunning && report === null)) return null
  const { minReplicas, maxReplicas, targetTunnelsPerShard } = autoscaling
  const needed = Math.ceil(fleetTunnels(shards) / targetTunnelsPerShard)
  const wanted = Math.min(maxReplicas, Math.max(minReplicas, needed))
  const current = spec.replicas
  if (wanted >= current)
    return {
      recommendation: { replicas: wanted, lowSinceMs: null },
      scaleTo: wanted > current ? wanted : null,
    }
  const lowSinceMs = before?.lowSinceMs ?? nowMs
  const most =
    before === null || before.lowSinceMs === null
      ? wanted
      : Math.max(wanted, Math.min(before.replicas, current))
  const isOver = nowMs - lowSinceMs >= durationMs(autoscaling.scaleDownStabilization)
  if (isOver && most < current) return { recommendation: { replicas: most, lowSinceMs: null }, scaleTo: most }
  return { recommendation: { replicas: most, lowSinceMs: most < current ? lowSinceMs : null }, scaleTo: null }
}
