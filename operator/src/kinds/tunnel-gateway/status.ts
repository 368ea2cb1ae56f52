/** What a TunnelGateway tells of itself. Pure. Conditions and their reasons are listed in README.md. */
import { findCondition, setCondition, timestamp } from '#src/runtime/conditions.ts'
import type { Condition, ConditionChange } from '#src/runtime/conditions.ts'
import type { Problem } from './checks.ts'
import type { Recommendation } from './autoscale.ts'
import { selectorText } from './names.ts'
import type { Plan } from './plan.ts'
import { readiness } from './readiness.ts'
import { stepSizes } from './rollout.ts'
import type { ShardDrain, Shard as ShardStatus, TunnelGatewaySpec, TunnelGatewayStatus } from './schema.ts'
import { fleetTunnels, isServing } from './world.ts'
import type { Shard, World } from './world.ts'

export interface StatusInput {
  readonly name: string
  readonly generation: number
  readonly spec: TunnelGatewaySpec
  readonly world: World
  readonly plan: Plan
  /** Hash of the template that the spec asks for. */
  readonly wanted: string
  readonly targetVersion: string
  readonly isHeld: boolean
  readonly isDeleting: boolean
  /** What the API server refused, in its words. */
  readonly refused: string | null
  readonly recommendation: Recommendation | null
  readonly before: TunnelGatewayStatus | undefined
  readonly nowMs: number
}

export function statusOf(input: StatusInput): TunnelGatewayStatus {
  const { name, generation, spec, world, before, nowMs, recommendation } = input
  const { shards } = world
  const changes = [
    available(input),
    progressing(input),
    reconciled(input),
    ringConsistent(world),
    draining(world),
  ]
  const serving = shards.filter(isServing).length
  const outdated = shards.filter(({ template }) => template !== input.plan.target.template)
  return {
    observedGeneration: generation,
    phase: phaseOf(input, changes),
    replicas: world.set?.replicas ?? 0,
    readyReplicas: shards.filter(({ isReady }) => isReady).length,
    updatedReplicas: shards.length - outdated.length,
    drainingReplicas: shards.filter(isLeaving).length,
    selector: selectorText(name),
    tunnels: fleetTunnels(shards),
    ...versions(input),
    ...ringOf(shards),
    rollout: rolloutOf(input, outdated.length),
    ...(recommendation === null ? {} : { autoscaling: autoscalingOf(recommendation) }),
    shards: shards.map((shard) => shardOf(shard, before, nowMs)),
    conditions: conditionsOf(
      [...changes, ...readiness(changes, { serving, wanted: spec.replicas })],
      before,
      generation,
      nowMs,
    ),
  }
}

/** A status that says only what is wrong with the spec: what runs goes on unchanged. */
export function statusOfProblem(
  problem: Problem,
  before: TunnelGatewayStatus | undefined,
  generation: number,
  nowMs: number,
): TunnelGatewayStatus {
  const { reason, message } = problem
  const change = { type: 'Reconciled', status: 'False', reason, message } as const
  return {
    ...before,
    observedGeneration: generation,
    phase: `Invalid: ${message}`.slice(0, 300),
    conditions: conditionsOf([change, ...readiness([change])], before, generation, nowMs),
  }
}

function conditionsOf(
  changes: readonly ConditionChange[],
  before: TunnelGatewayStatus | undefined,
  generation: number,
  nowMs: number,
): TunnelGatewayStatus['conditions'] {
  const now = timestamp(nowMs)
  let conditions: Condition[] = before?.conditions ?? []
  for (const change of changes) conditions = setCondition(conditions, change, now, generation)
  return conditions as NonNullable<TunnelGatewayStatus['conditions']>
}

/** Whether two statuses differ in more than figures, which change all the time. */
export function isNews(before: TunnelGatewayStatus | undefined, after: TunnelGatewayStatus): boolean {
  return JSON.stringify(withoutFigures(before)) !== JSON.stringify(withoutFigures(after))
}

function withoutFigures(status: TunnelGatewayStatus | undefined): unknown {
  if (status === undefined) return null
  const { tunnels: _, ring, shards, autoscaling, conditions, phase: _phase, ...rest } = status
  return {
    ...sorted(rest),
    ring: ring?.members,
    recommended: autoscaling?.recommended,
    shards: shards?.map(({ name, state, template, version }) => [name, state, template, version]),
    conditions: conditions?.map(({ type, status: value, reason }) => [type, value, reason]),
  }
}

function sorted(object: object): object {
  return Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const isLeaving = ({ mark, report, isTerminating }: Shard) =>
  mark !== null || report?.isDraining === true || isTerminating

function available({ spec, world }: StatusInput): ConditionChange {
  const serving = world.shards.filter(isServing).length
  const message = `${serving} of ${spec.replicas} shards serve`
  if (spec.replicas === 0)
    return condition('Available', 'False', 'ScaledToZero', 'no shards are wanted: raise spec.replicas')
  const trouble = world.shards.find((shard) => shard.trouble !== null)
  const full = trouble === undefined ? message : `${message}; ${trouble.name}: ${trouble.trouble}`
  if (serving >= Math.max(1, spec.replicas - 1)) return condition('Available', 'True', 'ShardsServe', full)
  return condition('Available', 'False', 'TooFewShards', full)
}

function progressing(input: StatusInput): ConditionChange {
  const { plan, spec, world, wanted, isDeleting, isHeld } = input
  const yes = (reason: string, message: string) => condition('Progressing', 'True', reason, message)
  const no = (reason: string, message: string) => condition('Progressing', 'False', reason, message)
  const { set, shards } = world
  if (isDeleting) return yes('Deleting', 'shards are drained before they go')
  if (isHeld) return no('Held', 'remove the annotation wmoc.online/paused to go on')
  if (set === null) return yes('Creating', 'the shards are made')
  if (plan.rolloutFails !== null)
    return no(
      'RolloutFailed',
      `${plan.rolloutFails}; there is no earlier template to go back to: correct the spec`,
    )
  if (plan.scaleInBlocked !== null) return no('ScaleInBlocked', plan.scaleInBlocked)
  if (set.replicas > spec.replicas) return yes('ScalingIn', `from ${set.replicas} to ${spec.replicas} shards`)
  const { target } = plan
  const left = shards.filter(({ template }) => template !== target.template).length
  if (left > 0) {
    const message = `${left} of ${set.replicas} shards are to be replaced${because(plan.rolloutWaits)}`
    if (target.isRolledBack) return yes('RollingBack', message)
    return spec.paused ? no('Paused', message) : yes('RollingOut', message)
  }
  if (shards.length < set.replicas || shards.some(({ isReady, mark }) => !isReady && mark === null))
    return yes('WaitingForShards', plan.rolloutWaits ?? 'shards are not ready yet')
  if (set.completed[0] !== target.template)
    return yes('Verifying', plan.rolloutWaits ?? 'all shards are updated')
  if (target.template !== wanted)
    return no(
      'RolledBack',
      `template ${wanted} was rejected; shards have ${target.template}: change the spec (the event RolloutAborted says why), or try again by kubectl wmoc rollout restart`,
    )
  return no('Complete', 'all shards are as the spec says')
}

const because = (why: string | null) => (why === null ? '' : `: ${why}`)

function reconciled({ refused, isHeld }: StatusInput): ConditionChange {
  if (refused !== null) return condition('Reconciled', 'False', 'ApplyRefused', refused)
  if (isHeld)
    return condition('Reconciled', 'False', 'Held', 'the annotation wmoc.online/paused holds the operator')
  return condition('Reconciled', 'True', 'Applied', 'everything that belongs to it is as it should be')
}

function ringConsistent({ shards }: World): ConditionChange {
  const views = shards.flatMap(({ name, report, isTerminating }) =>
    report === null || isTerminating ? [] : [{ name, ring: report.serving.join(', ') }],
  )
  const first = views[0]
  if (first === undefined)
    return condition(
      'RingConsistent',
      'Unknown',
      'NoReports',
      'no shard tells its ring: is port 9082 reachable?',
    )
  const other = views.find(({ ring }) => ring !== first.ring)
  if (other === undefined)
    return condition('RingConsistent', 'True', 'SameRing', `all see ${first.ring || 'none'}`)
  const message = `${first.name} sees ${first.ring || 'none'}; ${other.name} sees ${other.ring || 'none'}`
  return condition('RingConsistent', 'False', 'RingSplit', `${message}: look at Redis if this lasts`)
}

function draining({ shards }: World): ConditionChange {
  const leaving = shards.filter(isLeaving)
  if (leaving.length === 0) return condition('Draining', 'False', 'NoDrain', 'no shard drains')
  const words = leaving.map(
    ({ name, mark, report }) => `${name} (${mark?.reason ?? 'Observed'}, ${report?.tunnels ?? '?'} tunnels)`,
  )
  return condition('Draining', 'True', 'ShardsDrain', words.join(', '))
}

function condition(
  type: string,
  status: ConditionChange['status'],
  reason: string,
  message: string,
): ConditionChange {
  return { type, status, reason, message }
}

function phaseOf({ spec, world }: StatusInput, changes: readonly ConditionChange[]): string {
  const by = (type: string) => changes.find((change) => change.type === type)!
  const going = by('Progressing')
  const applied = by('Reconciled')
  if (applied.reason === 'ApplyRefused') return `Refused: ${applied.message}`.slice(0, 300)
  const moved = going.reason !== 'Complete'
  const serving = world.shards.filter(isServing).length
  if (!moved) return `Healthy: ${serving} of ${spec.replicas} shards serve`
  return `${going.reason}: ${going.message}`.slice(0, 300)
}

/** The lowest shard is the last that a rollout replaces. */
function versions({ targetVersion, before, world }: StatusInput) {
  const current = world.shards[0]?.version ?? targetVersion
  return { currentVersion: current === '' ? before?.currentVersion : current, targetVersion }
}

function ringOf(shards: readonly Shard[]): Pick<TunnelGatewayStatus, 'ring'> {
  const reports = shards.flatMap(({ report }) => (report === null ? [] : [report]))
  if (reports.length === 0) return {}
  const tunnels = shards.filter(isServing).map(({ report }) => report?.tunnels ?? 0)
  const mean = tunnels.reduce((sum, count) => sum + count, 0) / Math.max(1, tunnels.length)
  return {
    ring: {
      epoch: Math.max(...reports.map(({ epoch }) => epoch)),
      members: Math.max(...reports.map(({ serving }) => serving.length)),
      imbalancePercent: mean === 0 ? 0 : Math.round((100 * (Math.max(...tunnels) - mean)) / mean),
    },
  }
}

function rolloutOf(
  { world, plan, wanted, spec }: StatusInput,
  outdated: number,
): TunnelGatewayStatus['rollout'] {
  const count = world.shards.length
  const sizes = stepSizes(spec, count)
  const done = sizes.filter((size) => size <= count - outdated).length
  const step = world.set?.step ?? null
  const { rolloutWaitsUntilMs: until, rolloutWaits: waits } = plan
  return {
    target: wanted,
    serving: plan.target.template,
    ...(sizes.length === 0 ? {} : { step: done }),
    ...(step === null ? {} : { startedAt: timestamp(step.atMs) }),
    ...(until === null ? {} : { pausedUntil: timestamp(until) }),
    ...(waits === null ? {} : { message: waits }),
  }
}

function autoscalingOf({ replicas, lowSinceMs }: Recommendation): TunnelGatewayStatus['autoscaling'] {
  return { recommended: replicas, ...(lowSinceMs === null ? {} : { lowSince: timestamp(lowSinceMs) }) }
}

/** The last recommendation, as the status has it. */
export function recommendationIn(status: TunnelGatewayStatus | undefined): Recommendation | null {
  if (status?.autoscaling === undefined) return null
  const { recommended, lowSince } = status.autoscaling
  return { replicas: recommended, lowSinceMs: lowSince === undefined ? null : Date.parse(lowSince) }
}

function shardOf(shard: Shard, before: TunnelGatewayStatus | undefined, nowMs: number): ShardStatus {
  const { name, version, template, report } = shard
  const drain = drainOf(shard, before?.shards?.find((known) => known.name === name)?.drain, nowMs)
  return {
    name,
    state: stateOf(shard),
    version,
    template,
    ...(report === null ? {} : { tunnels: report.tunnels, inFlight: report.inFlight }),
    ...(drain === undefined ? {} : { drain }),
  }
}

function stateOf(shard: Shard): ShardStatus['state'] {
  if (shard.isLost) return 'Lost'
  if (isLeaving(shard)) return (shard.report?.drainedAtMs ?? null) !== null ? 'Drained' : 'Draining'
  if (shard.isReady) return 'Ready'
  return shard.trouble === null ? 'Pending' : 'Failed'
}

function drainOf(shard: Shard, known: ShardDrain | undefined, nowMs: number): ShardDrain | undefined {
  if (!isLeaving(shard)) return undefined
  const { mark, report } = shard
  const remainingTunnels = report?.tunnels ?? known?.remainingTunnels ?? 0
  if (mark !== null)
    return {
      startedAt: timestamp(mark.startedAtMs),
      initialTunnels: mark.tunnels,
      remainingTunnels,
      reason: mark.reason,
    }
  // Somebody else's doing: an eviction, a person with curl.
  const seen = known?.reason === 'Observed' ? known : undefined
  return {
    startedAt: seen?.startedAt ?? timestamp(nowMs),
    initialTunnels: seen?.initialTunnels ?? remainingTunnels,
    remainingTunnels,
    reason: 'Observed',
  }
}

/** The ring's epoch as the status has it. */
export function epochIn(status: TunnelGatewayStatus | undefined): number {
  return status?.ring?.epoch ?? 0
}

/** Whether a condition got another reason, which is when a Warning is told anew. */
export function isNewReason(
  type: string,
  before: TunnelGatewayStatus | undefined,
  after: TunnelGatewayStatus,
): boolean {
  return findCondition(before?.conditions, type)?.reason !== findCondition(after.conditions, type)?.reason
}
