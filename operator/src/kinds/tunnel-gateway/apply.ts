/**
 * Does what was decided. Every write names the version of the object that the decision was made from, so that of two
 * operators one is refused, and a decision from an old view of the world does nothing.
 */
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { Pod, PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts'
import type { ReconcileContext } from '#src/runtime/controller.ts'
import { timestamp } from '#src/runtime/conditions.ts'
import { KubeError } from '#src/runtime/errors.ts'
import { controllerOf, hashOf, removeFinalizer } from '#src/runtime/metadata.ts'
import { refOf } from '#src/runtime/objects.ts'
import type { Resource, Sent, Stored } from '#src/runtime/objects.ts'
import { PodMonitors, Pods, ServiceMonitors, StatefulSets } from '#src/runtime/resources.ts'
import type { Action, SetState, Tell } from './actions.ts'
import { statefulSet } from './desired.ts'
import type { Desired } from './desired.ts'
import { covers } from './merge.ts'
import { FINALIZER, POD, SET, TunnelGateways } from './names.ts'
import { writeMark, writeStep } from './notes.ts'
import type { Observed } from './observe.ts'
import type { TunnelGatewaySpec, TunnelGatewayStatus } from './schema.ts'
import type { ShardClient } from './shard-client.ts'

export type Gateway = Stored<{ spec: TunnelGatewaySpec; status?: TunnelGatewayStatus }>

export interface Applying {
  readonly context: ReconcileContext<unknown>
  readonly gateway: Gateway
  readonly spec: TunnelGatewaySpec
  readonly observed: Observed
  /** What the spec asks for. */
  readonly wanted: PodTemplateSpec
  readonly shards: ShardClient
  /** Told of everything that was written to a shard or to the set of them. */
  wrote(kind: Resource, object: Stored): void
}

/** The set in this state; with the version it replaces, if there is one. */
export function renderSet(applying: Applying, state: SetState): Sent<StatefulSet> {
  const { gateway, spec, observed } = applying
  const notes = {
    [SET.completed]: state.completed.join(','),
    [SET.rejected]: state.rejected.join(','),
    ...(state.step === null ? {} : { [SET.step]: writeStep(state.step) }),
  }
  const template = templateOf(applying, state.template)
  const { replicas, partition } = state
  const bare = statefulSet(gateway, { spec, template, replicas, partition, annotations: notes })
  const { resourceVersion } = observed.set?.metadata ?? {}
  return {
    ...bare,
    metadata: {
      ...bare.metadata,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      annotations: { ...notes, [SET.applied]: hashOf(bare) },
    },
  }
}

/** What the spec asks for, what the set has, or what the cluster still knows of an earlier one. */
function templateOf({ wanted, observed }: Applying, hash: string): PodTemplateSpec {
  if (wanted.metadata?.annotations?.[POD.template] === hash) return wanted
  const present = observed.set?.spec?.template
  if (present?.metadata?.annotations?.[POD.template] === hash) return present
  const known = observed.world.revisions.find((revision) => revision.hash === hash)
  if (known === undefined) throw new Error(`the cluster does not know template ${hash} any more`)
  return known.template
}

/** Does one action, and tells of it. */
export async function perform(applying: Applying, action: Action): Promise<void> {
  const { context, gateway, observed, shards } = applying
  const { client, signal } = context
  const podOf = (shard: string): Stored<Pod> => observed.pods.get(shard)!
  switch (action.type) {
    case 'set': {
      const sent = renderSet(applying, action.set)
      if (observed.set === undefined) await refuseForeign(applying, StatefulSets, sent)
      applying.wrote(StatefulSets, await client.apply(StatefulSets, sent))
      return tell(
        applying,
        action.tells,
        action.set.replicas === observed.world.set?.replicas ? 'Rollout' : 'Scale',
      )
    }
    case 'mark':
      await annotate(applying, podOf(action.shard), { [POD.draining]: writeMark(action.mark) })
      return tell(applying, action.tells, 'Drain')
    case 'drain': {
      const { evictPerSecond, deadlineMs } = action
      try {
        await shards.drain(podOf(action.shard), { evictPerSecond, deadlineMs }, signal)
      } catch (error) {
        signal.throwIfAborted()
        // It is asked again, until its time is over.
        context.log.warn('cluster', 'a shard does not take its drain', { shard: action.shard, error })
      }
      return
    }
    case 'undrain':
      if (!(await shards.undrain(podOf(action.shard), signal))) return
      await annotate(applying, podOf(action.shard), {
        [POD.draining]: null,
        [POD.undrained]: timestamp(action.atMs),
      })
      return tell(applying, action.tells, 'Drain')
    case 'scale': {
      const { resourceVersion } = gateway.metadata
      const change = { metadata: { resourceVersion }, spec: { replicas: action.replicas } }
      await client.merge(TunnelGateways, refOf(gateway), change, 'scale')
      return tell(applying, action.tells, 'Scale')
    }
    case 'release':
      return removeFinalizer(client, TunnelGateways, gateway, FINALIZER)
  }
}

async function annotate(
  applying: Applying,
  pod: Stored<Pod>,
  annotations: Readonly<Record<string, string | null>>,
): Promise<void> {
  const { uid, resourceVersion } = pod.metadata
  const change = { metadata: { uid, resourceVersion, annotations } }
  applying.wrote(Pods, await applying.context.client.merge(Pods, refOf(pod), change))
}

function tell({ context, gateway }: Applying, tells: readonly Tell[], action: string): void {
  for (const { type, reason, message } of tells)
    context.events.record(gateway, { type, reason, action, message })
}

/** Puts back what somebody changed, and what another version of the operator would write in another way. */
export async function mendSet(applying: Applying, state: SetState): Promise<void> {
  const { set } = applying.observed
  if (set === undefined) return
  const sent = renderSet(applying, state)
  const { updateStrategy: _, ...rest } = sent.spec!
  const isAsItWas =
    set.metadata.annotations?.[SET.applied] === sent.metadata.annotations?.[SET.applied] &&
    covers(set.spec, rest) &&
    covers(set.metadata.labels, sent.metadata.labels)
  if (isAsItWas) return
  applying.wrote(StatefulSets, await applying.context.client.apply(StatefulSets, sent))
}

/** Services and the like: applied where they differ, removed where they are not wanted. */
export async function applySurroundings(
  applying: Applying,
  wanted: readonly Desired[],
  isDue: boolean,
): Promise<void> {
  for (const desired of wanted) {
    if (desired.kind === ServiceMonitors || desired.kind === PodMonitors) {
      if (isDue) await applyMonitor(applying, desired)
    } else {
      await applyOne(applying, desired, applying.context.cache(desired.kind).get(refFor(applying, desired)))
    }
  }
}

const refFor = ({ gateway }: Applying, { name }: Desired) => ({
  namespace: gateway.metadata.namespace!,
  name,
})

/** Of an API that may not be there, and that is not watched. */
async function applyMonitor(applying: Applying, desired: Desired): Promise<void> {
  const { client, log } = applying.context
  if (!(await client.serves(desired.kind))) {
    if (desired.object !== null)
      log.warn('cluster', 'this cluster has no such API; install Prometheus’ operator or switch it off', {
        wanted: desired.kind.kind,
      })
    return
  }
  const present = await client.get(desired.kind, refFor(applying, desired))
  await applyOne(applying, desired, present ?? undefined)
}

async function applyOne(applying: Applying, desired: Desired, present: Stored | undefined): Promise<void> {
  const { context, gateway } = applying
  const isOurs = present !== undefined && controllerOf(present)?.uid === gateway.metadata.uid
  if (desired.object === null) {
    if (isOurs) await context.client.delete(desired.kind, refOf(present), { uid: present.metadata.uid })
    return
  }
  const { kind, object } = desired
  const sent: Sent = {
    ...object,
    metadata: {
      ...object.metadata,
      annotations: { ...object.metadata.annotations, [SET.applied]: hashOf(object) },
    },
  }
  if (!isOurs) await refuseForeign(applying, kind, sent)
  else if (isSame(present, sent)) return
  await context.client.apply(kind, sent)
}

function isSame(present: Stored, sent: Sent): boolean {
  const { ownerReferences: _, ...metadata } = sent.metadata
  return covers(present, { ...sent, metadata })
}

/** An object of that name that belongs to somebody else is left alone. */
async function refuseForeign({ context, gateway }: Applying, kind: Resource, sent: Sent): Promise<void> {
  const present = await context.client.get(kind, refOf(sent))
  if (present === null || controllerOf(present)?.uid === gateway.metadata.uid) return
  throw new KubeError(
    409,
    'Invalid',
    `${kind.kind} ${sent.metadata.name} exists and is not ours: remove it, or name the TunnelGateway otherwise`,
  )
}
