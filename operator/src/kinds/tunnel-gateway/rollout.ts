/** Which template the shards should have, and whether the rollout may go on. Pure. */
import { durationMs } from '#src/crds/fields.ts'
import { cutOff, reachOf } from './api-reach.ts'
import { BACK_SHARE } from './drain.ts'
import type { TunnelGatewaySpec } from './schema.ts'
import { fleetTunnels } from './world.ts'
import type { Shard, ShardSet, Totals, World } from './world.ts'

/** A shard that has done less is not judged by what failed. */
const ENOUGH = 20

export interface Target {
  /** Hash of the template that shards should have. */
  readonly template: string
  /** It was rolled out to the end before: nothing has to be tried out. */
  readonly isKnownGood: boolean
  /** The spec asks for a template that is not wanted any more, and there is a good one to go back to. */
  readonly isRolledBack: boolean
}

/**
 * What the spec asks for, unless that failed its gate or a person rejected it: then the newest template that was rolled
 * out to the end and that the cluster still knows.
 * @param wanted hash of the template that the spec asks for
 */
export function targetOf(world: World, wanted: string, rejectedByPeople: string | undefined): Target {
  const set = world.set
  if (set === null) return { template: wanted, isKnownGood: false, isRolledBack: false }
  const rejected = new Set([...set.rejected, rejectedByPeople])
  const good = rejected.has(wanted) ? lastGood(world, set, rejected) : undefined
  const template = good ?? wanted
  return { template, isKnownGood: set.completed.includes(template), isRolledBack: good !== undefined }
}

/** The newest template that was rolled out to the end and is not rejected. */
export function lastGood(
  world: World,
  set: ShardSet,
  rejected: ReadonlySet<string | undefined>,
): string | undefined {
  return set.completed.find(
    (hash) => !rejected.has(hash) && world.revisions.some((known) => known.hash === hash),
  )
}

export type Verdict =
  | { readonly kind: 'pass' }
  /** @property untilMs when to look again at the latest, if that is known */
  | { readonly kind: 'wait'; readonly message: string; readonly untilMs?: number }
  /** @property mayBeApi it would be the same for any version while the API is away */
  | { readonly kind: 'fail'; readonly message: string; readonly mayBeApi?: true }

/** Where there is no gate: the share of calls that fail when the API is away, not when it is slow. */
const AWAY_PERCENT = 50

/**
 * Whether the next shard may follow those that were updated. While the API is away for the others too, devices can't
 * come back and shards don't get ready, whatever their version: that fails no rollout. One shard has none to compare with.
 */
export function judge(world: World, spec: TunnelGatewaySpec, target: Target, nowMs: number): Verdict {
  const verdict = judgeAlone(world, spec, target, nowMs)
  if (verdict.kind !== 'fail' || verdict.mayBeApi !== true) return verdict
  const outdated = world.shards.filter((shard) => shard.template !== target.template)
  const rest = world.shards.length > 1 ? world.shards.filter(({ isReady }) => isReady) : []
  const others = outdated.length > 0 ? outdated : rest
  const too = cutOff(others, spec.rollout.gate?.maxErrorPercent ?? AWAY_PERCENT)
  if (too === undefined) return verdict
  return {
    kind: 'wait',
    message: `${too.name} did not always reach the API lately: it may be that, not the version`,
  }
}

function judgeAlone(
  world: World,
  spec: TunnelGatewaySpec,
  { template, isKnownGood }: Target,
  nowMs: number,
): Verdict {
  const updated = world.shards.filter((shard) => shard.template === template)
  const missing = (world.set?.replicas ?? 0) - world.shards.length
  // One that is between its old and its new pod is neither updated nor outdated: nobody can say how the rollout does.
  if (missing > 0 && !isKnownGood)
    return { kind: 'wait', message: `${missing} shards have no pod at present` }
  const verdicts = [
    () => allReady(updated, isKnownGood, spec, nowMs),
    ...(isKnownGood || spec.rollout.gate === undefined || updated.length === 0
      ? []
      : [
          () => fewErrors(updated, world.shards, spec.rollout.gate!),
          () => apiReached(updated, world.shards, spec.rollout.gate!),
          () => allBack(world, spec.rollout.gate!, nowMs),
          () => longEnough(updated, world.shards.length, spec, nowMs),
        ]),
    ...(isKnownGood ? [] : [() => pauseOver(updated, world, spec, nowMs)]),
  ]
  for (const verdict of verdicts) {
    const found = verdict()
    if (found.kind !== 'pass') return found
  }
  return { kind: 'pass' }
}

function allReady(
  updated: readonly Shard[],
  isKnownGood: boolean,
  spec: TunnelGatewaySpec,
  nowMs: number,
): Verdict {
  // One that a person drains is not ready, and yet in order.
  const waiting = updated.filter(
    ({ isReady, mark, isDrainAsked, trouble }) =>
      !isReady && mark === null && !(isDrainAsked && trouble === null),
  )
  const deadlineMs = durationMs(spec.rollout.progressDeadline)
  const late = waiting.find(({ readySinceMs }) => nowMs - readySinceMs > deadlineMs)
  if (late !== undefined && !isKnownGood) {
    const why = late.trouble === null ? 'look at its log' : late.trouble
    return {
      kind: 'fail',
      message: `${late.name} is not ready after ${spec.rollout.progressDeadline}: ${why}`,
      ...(late.trouble === null ? { mayBeApi: true } : {}),
    }
  }
  const first = waiting[0]
  if (first === undefined) return { kind: 'pass' }
  const trouble = first.trouble === null ? '' : ` (${first.trouble})`
  return { kind: 'wait', message: `${first.name} is not ready yet${trouble}` }
}

type Gate = NonNullable<TunnelGatewaySpec['rollout']['gate']>

/** Failed and offline requests and refused registrations, in percent of all; null: too few to say. */
export function errorPercent(totals: readonly Totals[]): number | null {
  let all = 0
  let bad = 0
  for (const { requests, failed, offline, registrations, refused } of totals) {
    all += requests + registrations + refused
    bad += failed + offline + refused
  }
  return all < ENOUGH ? null : (100 * bad) / all
}

/** An updated shard is compared with the others: some devices are always offline, some are always refused. */
function fewErrors(updated: readonly Shard[], all: readonly Shard[], { maxErrorPercent }: Gate): Verdict {
  const totalsOf = (shards: readonly Shard[]) =>
    shards.flatMap(({ report }) => (report === null ? [] : [report.totals]))
  for (const shard of updated) {
    if (shard.report === null) return { kind: 'wait', message: `${shard.name} does not tell its status` }
    const others = othersThan(shard, all)
    const own = errorPercent([shard.report.totals])
    const usual = errorPercent(totalsOf(others)) ?? 0
    if (own !== null && own - usual > maxErrorPercent)
      return {
        kind: 'fail',
        message: `${shard.name} fails ${own.toFixed(1)} % of its requests and registrations, the others ${usual.toFixed(1)} %`,
      }
  }
  return { kind: 'pass' }
}

/** Those that still are as they were; where there are none, the rest. */
function othersThan(shard: Shard, all: readonly Shard[]): readonly Shard[] {
  const outdated = all.filter(({ template }) => template !== shard.template)
  return outdated.length > 0 ? outdated : all.filter(({ name }) => name !== shard.name)
}

/** Requests and registrations that are refused for want of the API are not among a shard's totals. */
function apiReached(updated: readonly Shard[], all: readonly Shard[], { maxErrorPercent }: Gate): Verdict {
  for (const shard of updated) {
    const reach = reachOf(shard, othersThan(shard, all), maxErrorPercent)
    if (reach.kind !== 'fine')
      return { kind: reach.kind === 'alone' ? 'fail' : 'wait', message: reach.message }
  }
  return { kind: 'pass' }
}

/** Counted from when any shard last got ready, or was lost; where a person keeps a shard empty nobody can say. */
function allBack({ set, shards }: World, { maxReconnectSeconds }: Gate, nowMs: number): Verdict {
  const step = set?.step ?? null
  if (step === null) return { kind: 'pass' }
  const tunnels = fleetTunnels(shards)
  const wanted = Math.floor(step.fleetTunnels * BACK_SHARE)
  if (tunnels >= wanted) return { kind: 'pass' }
  const sinceMs = Math.max(step.atMs, ...shards.map(({ readySinceMs }) => readySinceMs))
  const untilMs = sinceMs + maxReconnectSeconds * 1_000
  const figures = `${tunnels} of ${step.fleetTunnels} tunnels are open`
  if (nowMs > untilMs && !shards.some(({ isDrainAsked }) => isDrainAsked))
    return {
      kind: 'fail',
      message: `${figures} ${maxReconnectSeconds} s after the last replacement`,
      mayBeApi: true,
    }
  return { kind: 'wait', message: `${figures} again`, untilMs }
}

/** At the end of each step, or without steps after each shard, and at the end. */
function longEnough(
  updated: readonly Shard[],
  count: number,
  spec: TunnelGatewaySpec,
  nowMs: number,
): Verdict {
  const isInStep = spec.rollout.strategy === 'Progressive' && boundary(updated.length, count, spec) === null
  if (isInStep && updated.length < count) return { kind: 'pass' }
  return since(updated, durationMs(spec.rollout.gate!.window), nowMs, 'is watched')
}

function pauseOver(
  updated: readonly Shard[],
  { shards }: World,
  spec: TunnelGatewaySpec,
  nowMs: number,
): Verdict {
  if (updated.length === 0 || updated.length === shards.length) return { kind: 'pass' }
  const step = boundary(updated.length, shards.length, spec)
  if (step === null) return { kind: 'pass' }
  return since(updated, durationMs(step.pause), nowMs, 'step pauses')
}

function since(updated: readonly Shard[], ms: number, nowMs: number, what: string): Verdict {
  const untilMs = Math.max(0, ...updated.map(({ readySinceMs }) => readySinceMs)) + ms
  if (nowMs >= untilMs) return { kind: 'pass' }
  return {
    kind: 'wait',
    message: `${what} until ${new Date(untilMs).toISOString().slice(11, 19)} UTC`,
    untilMs,
  }
}

/** How many shards are updated at the end of each step. */
export function stepSizes(spec: TunnelGatewaySpec, count: number): number[] {
  if (spec.rollout.strategy !== 'Progressive') return []
  return (spec.rollout.steps ?? []).map(({ shards }) => shareOf(shards, count))
}

/** The step that ends with this number of updated shards. */
function boundary(updated: number, count: number, spec: TunnelGatewaySpec) {
  const at = stepSizes(spec, count).lastIndexOf(updated)
  return at === -1 ? null : spec.rollout.steps![at]!
}

/** Shards that may still be updated before the next pause. */
export function roomInStep(updated: number, count: number, spec: TunnelGatewaySpec): number {
  const next = stepSizes(spec, count).find((size) => size > updated)
  return (next ?? count) - updated
}

/** A number, or a percentage of `count`, at least 1. */
export function shareOf(value: number | string, count: number): number {
  const shards = typeof value === 'number' ? value : Math.ceil((Number.parseInt(value, 10) / 100) * count)
  return Math.max(1, Math.min(shards, count))
}
