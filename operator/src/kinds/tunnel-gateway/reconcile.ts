/** One turn: observe → check → plan → apply → status. */
import type { ControllerDefinition, ReconcileContext, ReconcileResult } from '#src/runtime/controller.ts'
import { isKubeError } from '#src/runtime/errors.ts'
import { addFinalizer, canonical, isDeleting, removeFinalizer } from '#src/runtime/metadata.ts'
import { keyOf } from '#src/runtime/objects.ts'
import type { Ref } from '#src/runtime/objects.ts'
import {
  ControllerRevisions,
  NetworkPolicies,
  PodDisruptionBudgets,
  Pods,
  Services,
  StatefulSets,
} from '#src/runtime/resources.ts'
import type { Action } from './actions.ts'
import { applySurroundings, mendSet, perform } from './apply.ts'
import type { Applying, Gateway } from './apply.ts'
import { autoscale } from './autoscale.ts'
import type { Autoscaling } from './autoscale.ts'
import { check } from './checks.ts'
import { surroundings } from './desired.ts'
import { createFreshness } from './freshness.ts'
import { APP, ASKED, FINALIZER, POD, ServiceAccounts, TunnelGateways } from './names.ts'
import { observe, versionOf } from './observe.ts'
import { plan as planOf } from './plan.ts'
import type { Plan } from './plan.ts'
import { imageOf, podTemplate } from './pod-template.ts'
import type { TunnelGatewaySpec, TunnelGatewayStatus } from './schema.ts'
import type { ShardClient } from './shard-client.ts'
import { epochIn, isNewReason, isNews, recommendationIn, statusOf, statusOfProblem } from './status.ts'
import type { Shard } from './world.ts'

const MOVING_MS = 1_000
const STILL_MS = 10_000
const REFUSED_MS = 30_000
/** Figures alone are written no more often. */
const FIGURES_MS = 10_000
const MONITORS_MS = 600_000
const CATCH_UP_MS = 100

type Context = ReconcileContext<{ spec: TunnelGatewaySpec; status?: TunnelGatewayStatus }>

/** @param shards speaks to the shards themselves */
export function createTunnelGatewayController(
  shards: ShardClient,
): ControllerDefinition<{ spec: TunnelGatewaySpec; status?: TunnelGatewayStatus }> {
  const freshness = createFreshness()
  const statusAt = new Map<string, number>()
  const monitorsAt = new Map<string, number>()

  async function reconcile(ref: Ref, context: Context): Promise<ReconcileResult | void> {
    const gateway = context.object
    if (gateway === null) {
      freshness.forget(ref)
      statusAt.delete(keyOf(ref))
      monitorsAt.delete(keyOf(ref))
      return
    }
    if (!freshness.isCurrent(ref, context.cache)) return { requeueAfterMs: CATCH_UP_MS }
    const checked = check(ref.name, gateway.spec)
    if (checked.ok) return turn(ref, context, gateway, checked.spec)
    if (isDeleting(gateway)) return removeFinalizer(context.client, TunnelGateways, gateway, FINALIZER)
    const { generation = 0 } = gateway.metadata
    const status = statusOfProblem(checked.problem, gateway.status, generation, context.now())
    if (isNewReason('Reconciled', gateway.status, status)) {
      const { message } = checked.problem
      context.events.record(gateway, { type: 'Warning', reason: 'InvalidSpec', action: 'Check', message })
    }
    await writeStatus(ref, context, gateway, status)
  }

  async function turn(
    ref: Ref,
    context: Context,
    given: Gateway,
    spec: TunnelGatewaySpec,
  ): Promise<ReconcileResult> {
    const nowMs = context.now()
    const isGoing = isDeleting(given)
    const gateway =
      isGoing || spec.drain.strategy === 'Immediate'
        ? given
        : await addFinalizer(context.client, TunnelGateways, given, FINALIZER)
    const observed = await observe(ref, context, shards)
    const { world } = observed
    const notes = gateway.metadata.annotations ?? {}
    const template = podTemplate(ref.name, spec, notes[ASKED.restartedAt])
    const wanted = template.metadata.annotations[POD.template]!
    const isHeld = notes[ASKED.paused] === 'true'
    const plan = planOf({
      spec,
      isDeleting: isGoing,
      isHeld,
      rejectedByPeople: notes[ASKED.rejected],
      wanted,
      world,
      nowMs,
    })
    const scaling =
      isGoing || isHeld ? null : autoscale(spec, world.shards, recommendationIn(gateway.status), nowMs)
    const applying: Applying = {
      context,
      gateway,
      spec,
      observed,
      wanted: template,
      shards,
      wrote: (kind, object) => freshness.wrote(ref, kind, object),
    }
    const actions = [...plan.actions, ...scaleAction(scaling, spec)]
    const refused = isHeld ? null : await act(ref, applying, plan, actions, isGoing)
    if (actions.some(({ type }) => type === 'release') && refused === null) return {}
    const status = statusOf({
      name: ref.name,
      generation: gateway.metadata.generation ?? 0,
      spec,
      world,
      plan,
      wanted,
      targetVersion: versionOf(imageOf(spec.image)),
      isHeld,
      isDeleting: isGoing,
      refused,
      recommendation: scaling?.recommendation ?? recommendationIn(gateway.status),
      before: gateway.status,
      nowMs,
    })
    tellChanges(context, gateway, plan, status)
    tellLosses(context, gateway, world.shards, status)
    await writeStatus(ref, context, gateway, status)
    if (refused !== null) return { requeueAfterMs: REFUSED_MS }
    const pace = plan.isMoving ? MOVING_MS + 10 * world.shards.length : STILL_MS
    return { requeueAfterMs: pace }
  }

  /** What the API server refused, in its words; null: nothing. */
  async function act(
    ref: Ref,
    applying: Applying,
    plan: Plan,
    actions: readonly Action[],
    isGoing: boolean,
  ): Promise<string | null> {
    const { context, gateway, spec, observed } = applying
    const key = keyOf(ref)
    try {
      if (!isGoing) {
        const isNew = gateway.status?.observedGeneration !== gateway.metadata.generation
        const isDue = isNew || context.now() - (monitorsAt.get(key) ?? 0) > MONITORS_MS
        await applySurroundings(applying, surroundings(gateway, spec), isDue)
        if (isDue) monitorsAt.set(key, context.now())
        if (observed.world.set !== null && !actions.some(({ type }) => type === 'set'))
          await mendSet(applying, { ...observed.world.set, template: plan.target.template })
      }
      for (const action of actions) await perform(applying, action)
      return null
    } catch (error) {
      if (!isKubeError(error, 'Invalid', 'Forbidden', 'BadRequest', 'Unknown')) throw error
      return error.message.slice(0, 1_000)
    }
  }

  async function writeStatus(
    ref: Ref,
    context: Context,
    gateway: Gateway,
    status: TunnelGatewayStatus,
  ): Promise<void> {
    const key = keyOf(ref)
    const now = context.now()
    const isDue = now - (statusAt.get(key) ?? 0) >= FIGURES_MS
    if (canonical(gateway.status) === canonical(status)) return
    if (!isNews(gateway.status, status) && !isDue) return
    await context.client.patchStatus(TunnelGateways, ref, status)
    statusAt.set(key, now)
  }

  const labelSelector = `app.kubernetes.io/name=${APP}`
  const byInstance = (object: {
    metadata: { namespace?: string; labels?: Record<string, string> }
  }): Ref[] => {
    const name = object.metadata.labels?.['app.kubernetes.io/instance']
    return name === undefined ? [] : [{ namespace: object.metadata.namespace ?? '', name }]
  }
  return {
    kind: TunnelGateways,
    isFew: true,
    watches: [
      ...[StatefulSets, Services, ServiceAccounts, PodDisruptionBudgets, NetworkPolicies].map((kind) => ({
        kind,
        labelSelector,
      })),
      { kind: Pods, labelSelector, concerns: byInstance },
      { kind: ControllerRevisions, labelSelector, concerns: byInstance },
    ],
    reconcile,
  }
}

function scaleAction(scaling: Autoscaling | null, spec: TunnelGatewaySpec): Action[] {
  if (scaling === null || scaling.scaleTo === null) return []
  const message = `from ${spec.replicas} to ${scaling.scaleTo} shards, by tunnels`
  return [
    { type: 'scale', replicas: scaling.scaleTo, tells: [{ type: 'Normal', reason: 'Autoscaled', message }] },
  ]
}

/** What the next status says for the first time. */
function tellChanges(context: Context, gateway: Gateway, plan: Plan, status: TunnelGatewayStatus): void {
  const before = gateway.status
  const warn = (reason: string, action: string, message: string) =>
    context.events.record(gateway, { type: 'Warning', reason, action, message })
  if (before?.ring !== undefined && epochIn(status) > epochIn(before)) {
    const message = `the ring has epoch ${epochIn(status)} and ${status.ring?.members} members`
    context.events.record(gateway, {
      type: 'Normal',
      reason: 'RingEpochAdvanced',
      action: 'Observe',
      message,
    })
  }
  if (plan.scaleInBlocked !== null && isNewReason('Progressing', before, status))
    warn('ScaleInBlocked', 'Scale', plan.scaleInBlocked)
  const refused = status.conditions?.find(({ type }) => type === 'Reconciled')
  if (refused?.reason === 'ApplyRefused' && isNewReason('Reconciled', before, status))
    warn('ApplyRefused', 'Apply', refused.message)
}

/** Shards that are not heard of any more, and those that are again. */
function tellLosses(
  context: Context,
  gateway: Gateway,
  shards: readonly Shard[],
  status: TunnelGatewayStatus,
): void {
  const before = new Map(gateway.status?.shards?.map(({ name, state }) => [name, state]))
  for (const { name, state } of status.shards ?? []) {
    const wasLost = before.get(name) === 'Lost'
    if ((state === 'Lost') === wasLost) continue
    const trouble = shards.find((shard) => shard.name === name)?.trouble
    context.events.record(gateway, {
      type: wasLost ? 'Normal' : 'Warning',
      reason: wasLost ? 'ShardBack' : 'ShardLost',
      action: 'Observe',
      message: wasLost ? `${name} is heard of again` : `${name} is lost: ${trouble}`,
    })
  }
}
