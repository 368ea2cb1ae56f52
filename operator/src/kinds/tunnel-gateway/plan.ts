/**
 * What to do next, from what is seen and nothing else: no memory, so that a new leader goes on where the last one was
 * stopped. One thing at a time, in this order: deletion; what every shard must have; shards too many; the rollout.
 */
import type { Action, SetState, Tell } from './actions.ts'
import { ask, beginDrain, drainState, needsDrain } from './drain.ts'
import { withName } from './notes.ts'
import { judge, lastGood, roomInStep, shareOf, targetOf } from './rollout.ts'
import type { Target, Verdict } from './rollout.ts'
import type { TunnelGatewaySpec } from './schema.ts'
import { fleetTunnels, isServing } from './world.ts'
import type { Shard, ShardSet, World } from './world.ts'

export interface PlanInput {
  readonly spec: TunnelGatewaySpec
  readonly isDeleting: boolean
  /** Annotation `wmoc.online/paused`. */
  readonly isHeld: boolean
  /** Annotation `wmoc.online/rejected`. */
  readonly rejectedByPeople: string | undefined
  /** Hash of the template that the spec asks for. */
  readonly wanted: string
  readonly world: World
  readonly nowMs: number
}

export interface Plan {
  readonly actions: readonly Action[]
  readonly target: Target
  /** Why the next step does not come yet, in words; null: there is none, or it comes now. */
  readonly rolloutWaits: string | null
  /** When that wait ends by itself. */
  readonly rolloutWaitsUntilMs: number | null
  /** The rollout can't go on and there is nothing to go back to. */
  readonly rolloutFails: string | null
  /** Why shards too many stay. */
  readonly scaleInBlocked: string | null
  /** Something is under way, and nobody tells when it is done: look again soon. */
  readonly isMoving: boolean
}

/** A shard of an old template that is not ready for so long holds nobody up any more. */
const PATIENCE_MS = 60_000

type Work = PlanInput & { readonly set: ShardSet; readonly target: Target }

export function plan(input: PlanInput): Plan {
  const target = targetOf(input.world, input.wanted, input.rejectedByPeople)
  const still: Plan = {
    actions: [],
    target,
    rolloutWaits: null,
    rolloutWaitsUntilMs: null,
    rolloutFails: null,
    scaleInBlocked: null,
    isMoving: false,
  }
  if (input.isDeleting) return { ...still, ...planDeletion(input) }
  if (input.isHeld) return { ...still, rolloutWaits: 'held by the annotation wmoc.online/paused' }
  const { set } = input.world
  if (set === null) return { ...still, actions: [create(input)], isMoving: true }
  const work: Work = { ...input, set, target }
  const change = follow(work)
  if (change !== null) return { ...still, actions: [change], isMoving: true }
  const kept = keepDrains(work)
  // Who is away has to be looked at again before anybody else goes.
  if (kept.some(({ type }) => type !== 'drain')) return { ...still, actions: kept, isMoving: true }
  const next = moves(work)
  const actions = [...kept, ...(next.actions ?? [])]
  return { ...still, ...next, actions, isMoving: next.isMoving === true || actions.length > 0 }
}

/** A scale-in that has to wait lets the rollout go on: it may be what it waits for. */
function moves(work: Work): Partial<Plan> {
  if (work.set.replicas <= work.spec.replicas) return roll(work)
  const next = scaleIn(work)
  const { scaleInBlocked } = next
  return scaleInBlocked === undefined ? next : { ...roll(work), scaleInBlocked, isMoving: true }
}

function create({ spec, wanted }: PlanInput): Action {
  const set = {
    replicas: spec.replicas,
    partition: 0,
    template: wanted,
    completed: [],
    rejected: [],
    step: null,
  }
  return { type: 'set', set, tells: [] }
}

/** Everything is drained at once: nobody is to stay. */
function planDeletion({ spec, world, nowMs }: PlanInput): Partial<Plan> {
  const held = world.shards.filter((shard) => shard.isRunning && !shard.isTerminating)
  if (spec.drain.strategy === 'Immediate' || held.length === 0) return { actions: [{ type: 'release' }] }
  const actions: Action[] = held
    .filter(({ mark }) => mark?.reason !== 'Deletion')
    .flatMap((shard) => beginDrain(shard, world.shards, spec, 'Deletion', nowMs))
  const marked = held.filter(({ mark }) => mark?.reason === 'Deletion')
  for (const shard of marked) {
    if (shard.report?.isDraining !== true) actions.push(ask(shard, shard.mark!, spec, nowMs))
  }
  const isOver = held.every(
    (shard) => shard.mark?.reason === 'Deletion' && drainState(shard, [shard], spec, nowMs) !== 'draining',
  )
  return isOver ? { actions: [{ type: 'release' }] } : { actions, isMoving: true }
}

function setState(set: ShardSet, change: Partial<SetState>): SetState {
  const { replicas, partition, template, completed, rejected, step } = set
  return { replicas, partition, template, completed, rejected, step, ...change }
}

/** A new template, which replaces nothing yet, and shards too few. */
function follow({ set, spec, target, world }: Work): Action | null {
  const replicas = Math.max(set.replicas, spec.replicas)
  const tells: Tell[] = []
  if (replicas > set.replicas)
    tells.push({ type: 'Normal', reason: 'ScaledOut', message: `from ${set.replicas} to ${replicas} shards` })
  if (set.template !== target.template) {
    const count = world.shards.filter(({ template }) => template !== target.template).length
    const message = `${count} shards get template ${target.template}`
    if (!target.isRolledBack) tells.push({ type: 'Normal', reason: 'RolloutStarted', message })
    const change = { replicas, partition: replicas, template: target.template, step: null }
    return { type: 'set', set: setState(set, change), tells }
  }
  if (replicas === set.replicas) return null
  return { type: 'set', set: setState(set, { replicas }), tells }
}

/** Has marked shards drain, marks those that people want drained, and takes back what is not wanted any more. */
function keepDrains(work: Work): Action[] {
  const { spec, world, nowMs } = work
  return world.shards.flatMap((shard): Action[] => {
    if (shard.isTerminating || !shard.isRunning) return []
    const { mark, report } = shard
    if (mark === null) return shard.isDrainAsked ? beginDrain(shard, world.shards, spec, 'Manual', nowMs) : []
    if (!isWished(shard, work)) {
      const tell: Tell = {
        type: 'Normal',
        reason: 'ShardUndrained',
        message: `${shard.name} stays after all`,
      }
      return report?.isEnding === true
        ? []
        : [{ type: 'undrain', shard: shard.name, atMs: nowMs, tells: [tell] }]
    }
    return report?.isDraining === true ? [] : [ask(shard, mark, spec, nowMs)]
  })
}

/** Whether there is a reason to go on draining a marked shard. */
function isWished(shard: Shard, work: Work): boolean {
  const { spec, set } = work
  if (shard.isDrainAsked) return true
  if (shard.ordinal >= spec.replicas) return shard.ordinal === set.replicas - 1
  if (shard.mark?.reason !== 'Rollout') return false
  if (!outdatedOf(work).slice(0, limitOf(work)).includes(shard)) return false
  if (shard.ordinal >= set.partition) return true
  return !spec.paused && spec.rollout.strategy !== 'OnDelete'
}

/** Shards of another template than they should have, from the highest on. */
function outdatedOf({ world, target }: Work): Shard[] {
  return world.shards.filter(({ template }) => template !== target.template).toReversed()
}

/** Shards that may be away at once because of a rollout. */
function limitOf({ spec, set }: Work): number {
  return shareOf(spec.rollout.maxUnavailable, set.replicas)
}

/** Shards that do not serve, whoever took them away; of those that are to go, only who is on the way back. */
function away(work: Work, except?: Shard): string[] {
  const { set, spec, world } = work
  const names: string[] = []
  for (let ordinal = 0; ordinal < set.replicas; ordinal++) {
    if (ordinal === except?.ordinal) continue
    const shard = world.shards.find((present) => present.ordinal === ordinal)
    if (shard !== undefined && isServing(shard)) continue
    if (ordinal < spec.replicas || isOnItsWayBack(shard, work)) names.push(shard?.name ?? `number ${ordinal}`)
  }
  return names
}

function isOnItsWayBack(shard: Shard | undefined, { nowMs }: Work): boolean {
  if (shard === undefined) return false
  if (shard.isTerminating) return true
  return shard.mark?.reason !== 'Manual' && (shard.isReady || nowMs - shard.readySinceMs < PATIENCE_MS)
}

/** The highest shard is drained and removed, then the next. */
function scaleIn(work: Work): Partial<Plan> {
  const { set, spec, world, nowMs } = work
  const last = world.shards.find(({ ordinal }) => ordinal === set.replicas - 1)
  const remove = (tells: readonly Tell[]): Partial<Plan> => {
    const replicas = set.replicas - 1
    const message = `from ${set.replicas} to ${replicas} shards`
    return {
      actions: [
        {
          type: 'set',
          set: setState(set, { replicas, partition: Math.min(set.partition, replicas) }),
          tells: [...tells, { type: 'Normal', reason: 'ScaledIn', message }],
        },
      ],
      isMoving: true,
    }
  }
  const leaving = world.shards.find(({ ordinal }) => ordinal >= set.replicas)
  if (leaving !== undefined) return { isMoving: true }
  if (last === undefined || !last.isRunning || last.isTerminating) return remove([])
  if (last.mark !== null) {
    const state = drainState(last, world.shards, spec, nowMs)
    return state === 'draining' ? { isMoving: true } : remove([drainOver(last, state)])
  }
  const blocked = whyNotIn(work, last)
  if (blocked !== null) return { scaleInBlocked: blocked, isMoving: true }
  if (!needsDrain(last, world.shards, spec)) return remove([])
  return { actions: beginDrain(last, world.shards, spec, 'ScaleIn', nowMs), isMoving: true }
}

function whyNotIn(work: Work, last: Shard): string | null {
  const { spec, world } = work
  const others = away(work, last)
  if (isServing(last) && others.length > 0) return `${others[0]} is away; ${last.name} stays until it is back`
  const room = spec.replicas * spec.limits.maxTunnelsPerShard
  const tunnels = fleetTunnels(world.shards)
  if (spec.replicas > 0 && tunnels > room)
    return `${tunnels} tunnels are open and ${spec.replicas} shards take ${room}; raise replicas or limits.maxTunnelsPerShard`
  return null
}

function drainOver(shard: Shard, state: 'drained' | 'timedOut'): Tell {
  if (state === 'drained')
    return { type: 'Normal', reason: 'ShardDrainCompleted', message: `${shard.name} is empty` }
  const left = shard.report === null ? 'and does not answer' : `with ${shard.report.tunnels} tunnels left`
  return {
    type: 'Warning',
    reason: 'ShardDrainTimedOut',
    message: `the time to drain ${shard.name} is over, ${left}; raise drain.timeout or drain.evictRate`,
  }
}

/** Shards of another template than the target's are replaced from the highest on. */
function roll(work: Work): Partial<Plan> {
  const { set, spec, target, world, nowMs } = work
  const outdated = outdatedOf(work)
  const isWhole = world.shards.length === set.replicas && outdated.length === 0
  // Without shards nothing is shown to be good.
  const isProven = set.completed[0] === target.template || set.replicas === 0
  if (isWhole && isProven && set.partition === 0) return {}
  const verdict = judge(world, spec, target, nowMs)
  if (verdict.kind === 'fail') return abort(work, verdict.message)
  if (isWhole) return verdict.kind === 'pass' ? complete(work) : waits(verdict)
  if (spec.rollout.strategy === 'OnDelete')
    return outdated.length === 0
      ? { isMoving: true }
      : { rolloutWaits: `${outdated.length} shards wait for their deletion (OnDelete)` }
  return advance(work, outdated, verdict)
}

function waits(verdict: Verdict): Partial<Plan> {
  if (verdict.kind !== 'wait') return { isMoving: true }
  return { rolloutWaits: verdict.message, rolloutWaitsUntilMs: verdict.untilMs ?? null, isMoving: true }
}

function complete({ set, target }: Work): Partial<Plan> {
  const { template } = target
  const completed = set.replicas === 0 ? set.completed : withName(set.completed, template)
  const change = { partition: 0, completed, step: null }
  const tells: Tell[] =
    set.completed.length === 0
      ? []
      : [{ type: 'Normal', reason: 'RolloutCompleted', message: `all shards have template ${template}` }]
  return { actions: [{ type: 'set', set: setState(set, change), tells }], isMoving: true }
}

/** Goes back to the last good template, where there is one. */
function abort({ set, world, target }: Work, message: string): Partial<Plan> {
  const rejected = withName(set.rejected, target.template)
  const good = lastGood(world, set, new Set(rejected))
  if (good === undefined) return { rolloutFails: message, isMoving: true }
  const change = { template: good, partition: set.replicas, rejected, step: null }
  const tell: Tell = {
    type: 'Warning',
    reason: 'RolloutAborted',
    message: `${message}; going back to template ${good}`,
  }
  return { actions: [{ type: 'set', set: setState(set, change), tells: [tell] }], isMoving: true }
}

/** @param outdated from the highest on */
function advance(work: Work, outdated: readonly Shard[], verdict: Verdict): Partial<Plan> {
  const { set, spec, world, target, nowMs } = work
  const count = set.replicas
  const room = target.isKnownGood ? count : roomInStep(count - outdated.length, count, spec)
  const limit = limitOf(work)
  const tells: Tell[] = []
  let { partition } = set
  let before = 0
  const next = outdated.slice(0, Math.min(room, limit))
  for (const shard of next) {
    if (shard.ordinal >= partition) continue
    const state = readiness(shard, work)
    if (state === 'wait') {
      if (partition < set.partition) break
      return begin(work, shard, next, verdict)
    }
    if (state !== 'lost') tells.push(drainOver(shard, state))
    before = Math.max(before, shard.mark?.fleetTunnels ?? fleetTunnels(world.shards))
    partition = shard.ordinal
  }
  if (partition === set.partition) return waits(verdict)
  const done = count - outdated.length
  if (done > 0)
    tells.push({
      type: 'Normal',
      reason: 'RolloutStepCompleted',
      message: `${done} of ${count} shards have template ${target.template}`,
    })
  const change = { partition, step: { atMs: nowMs, fleetTunnels: before } }
  return { actions: [{ type: 'set', set: setState(set, change), tells }], isMoving: true }
}

/** `lost`: it serves nobody, and did not for a while. */
function readiness(shard: Shard, work: Work): 'wait' | 'lost' | 'drained' | 'timedOut' {
  const { spec, world, nowMs } = work
  if (spec.paused) return 'wait'
  if (shard.mark !== null && shard.isRunning && !shard.isTerminating) {
    const state = drainState(shard, world.shards, spec, nowMs)
    return state === 'draining' ? 'wait' : state
  }
  return isLost(shard, work) ? 'lost' : 'wait'
}

/**
 * Drains as many as may be away, or replaces the next at once where draining it would serve nobody.
 * @param next those whose turn it is, from the highest on
 */
function begin(work: Work, first: Shard, next: readonly Shard[], verdict: Verdict): Partial<Plan> {
  const { set, spec, world, nowMs } = work
  const limit = limitOf(work)
  if (spec.paused) return { rolloutWaits: 'paused by spec.paused' }
  if (first.mark !== null && first.isRunning) {
    const more = verdict.kind === 'pass' ? alongside(work, first, next) : []
    return { rolloutWaits: `${first.name} drains`, actions: more, isMoving: true }
  }
  if (verdict.kind !== 'pass') return waits(verdict)
  const others = away(work, first).filter((name) => !isPatienceOver(work, name))
  if (others.length >= limit)
    return { rolloutWaits: `${others[0]} is away; the next shard waits for it`, isMoving: true }
  if (!isServing(first)) return { rolloutWaits: `${first.name} is not ready`, isMoving: true }
  if (needsDrain(first, world.shards, spec))
    return { actions: beginDrain(first, world.shards, spec, 'Rollout', nowMs), isMoving: true }
  const step = { atMs: nowMs, fleetTunnels: fleetTunnels(world.shards) }
  const change = { partition: first.ordinal, step }
  return { actions: [{ type: 'set', set: setState(set, change), tells: [] }], isMoving: true }
}

/** One more shard to drain beside those that do, where `maxUnavailable` and the step allow it. */
function alongside(work: Work, first: Shard, next: readonly Shard[]): Action[] {
  const { spec, world, nowMs } = work
  const gone = away(work).filter((name) => !isPatienceOver(work, name)).length
  const other = next.find((shard) => shard.ordinal < first.ordinal && shard.mark === null)
  if (other === undefined || gone >= limitOf(work) || !isServing(other)) return []
  return needsDrain(other, world.shards, spec) ? beginDrain(other, world.shards, spec, 'Rollout', nowMs) : []
}

function isPatienceOver(work: Work, name: string): boolean {
  const { world, target } = work
  const shard = world.shards.find((present) => present.name === name)
  if (shard === undefined || shard.template === target.template || shard.mark !== null) return false
  return isLost(shard, work)
}

/** Not ready for a while, or of a rejected template, and nobody has replaced it yet. */
function isLost(shard: Shard, { set, rejectedByPeople, nowMs }: Work): boolean {
  if (shard.isReady || shard.isTerminating) return false
  if (set.rejected.includes(shard.template) || shard.template === rejectedByPeople) return true
  return nowMs - shard.readySinceMs >= PATIENCE_MS
}
