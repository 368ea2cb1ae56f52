/** When a shard counts as drained, and who may be drained now. Pure. */
import { durationMs } from '#src/crds/fields.ts'
import type { Action } from './actions.ts'
import type { TunnelGatewaySpec } from './schema.ts'
import { fleetTunnels, isServing } from './world.ts'
import type { DrainMark, DrainReason, Shard } from './world.ts'

/** Share of the tunnels there were before that counts as "all are back": some devices always go away by themselves. */
export const BACK_SHARE = 0.95

/** From when a shard counts as not ready until nobody sends it a new connection any more. */
const UNROUTED_MS = 2_000

/** `draining`: not yet. `timedOut`: it is not empty, and its time is over. */
export type DrainState = 'draining' | 'drained' | 'timedOut'

/**
 * Drained: no tunnel and no request is left, no Service and no other shard sends anything to it any more, and its devices
 * are back somewhere else, or had the time to be. A shard whose process does not run has nothing to lose.
 * @param shards all
 */
export function drainState(
  shard: Shard,
  shards: readonly Shard[],
  spec: TunnelGatewaySpec,
  nowMs: number,
): DrainState {
  if (!shard.isRunning || shard.mark === null) return shard.isRunning ? 'draining' : 'drained'
  const { report, mark } = shard
  const isUnrouted = !shard.isReady && nowMs - shard.readySinceMs >= UNROUTED_MS
  const isEmpty = report?.tunnels === 0 && report.inFlight === 0
  if (isUnrouted && isEmpty && report.drainedAtMs !== null) {
    const others = shards.filter(({ name }) => name !== shard.name)
    const isGone = others.every((other) => other.report?.serving.includes(shard.name) !== true)
    if (isGone && areBack(mark, shards, report.drainedAtMs, spec, nowMs)) return 'drained'
  }
  return nowMs - mark.startedAtMs >= durationMs(spec.drain.timeout) ? 'timedOut' : 'draining'
}

function areBack(
  mark: DrainMark,
  shards: readonly Shard[],
  drainedAtMs: number,
  spec: TunnelGatewaySpec,
  nowMs: number,
): boolean {
  if (mark.reason === 'Deletion') return true
  if (fleetTunnels(shards) >= Math.floor(mark.fleetTunnels * BACK_SHARE)) return true
  return nowMs - drainedAtMs >= durationMs(spec.drain.waitReconnect)
}

/**
 * Whether to empty this shard before it goes. Not when its process does not run, and not when no other shard could take
 * its devices: they would only be away for longer; then the end of its process drains it.
 */
export function needsDrain(shard: Shard, shards: readonly Shard[], spec: TunnelGatewaySpec): boolean {
  if (!shard.isRunning || shard.isTerminating || spec.drain.strategy === 'Immediate') return false
  return shards.some((other) => other.name !== shard.name && isServing(other))
}

/** The mark of a drain that begins now. */
export function markOf(
  shard: Shard,
  shards: readonly Shard[],
  reason: DrainReason,
  nowMs: number,
): DrainMark {
  return {
    reason,
    startedAtMs: nowMs,
    tunnels: shard.report?.tunnels ?? 0,
    fleetTunnels: fleetTunnels(shards),
  }
}

/** Marks a shard, and asks it to drain in the same turn. */
export function beginDrain(
  shard: Shard,
  shards: readonly Shard[],
  spec: TunnelGatewaySpec,
  reason: DrainReason,
  nowMs: number,
): Action[] {
  const mark = markOf(shard, shards, reason, nowMs)
  const message = `${shard.name} drains ${mark.tunnels} tunnels (${BECAUSE[reason]})`
  return [
    {
      type: 'mark',
      shard: shard.name,
      mark,
      tells: [{ type: 'Normal', reason: 'ShardDrainStarted', message }],
    },
    ask(shard, mark, spec, nowMs),
  ]
}

/** Asks a marked shard to drain, in what is left of its time. */
export function ask(shard: Shard, mark: DrainMark, spec: TunnelGatewaySpec, nowMs: number): Action {
  const leftMs = durationMs(spec.drain.timeout) - (nowMs - mark.startedAtMs)
  return {
    type: 'drain',
    shard: shard.name,
    evictPerSecond: spec.drain.evictRate,
    deadlineMs: Math.max(0, leftMs),
  }
}

const BECAUSE: Record<DrainReason, string> = {
  ScaleIn: 'scale-in',
  Rollout: 'rollout',
  Manual: 'asked for by annotation',
  Deletion: 'the gateway is deleted',
}
