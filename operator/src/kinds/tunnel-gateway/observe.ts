/** Reads the world once: objects from the cache, the shards' own figures in parallel. */
import type { ControllerRevision, StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { Pod, PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts'
import type { ReconcileContext } from '#src/runtime/controller.ts'
import { controllerOf } from '#src/runtime/metadata.ts'
import type { Ref, Stored } from '#src/runtime/objects.ts'
import { ControllerRevisions, Pods, StatefulSets } from '#src/runtime/resources.ts'
import { CONTAINER, ordinalOf, POD, SET } from './names.ts'
import { readMark, readNames, readStep } from './notes.ts'
import type { ShardClient } from './shard-client.ts'
import type { Revision, Shard, ShardReport, ShardSet, World } from './world.ts'

export interface Observed {
  readonly world: World
  readonly set: Stored<StatefulSet> | undefined
  /** Of the world's shards, by name. */
  readonly pods: ReadonlyMap<string, Stored<Pod>>
}

export async function observe(
  ref: Ref,
  { cache, signal }: Pick<ReconcileContext<unknown>, 'cache' | 'signal'>,
  shards: ShardClient,
): Promise<Observed> {
  const set = cache(StatefulSets).get(ref)
  const pods = set === undefined ? [] : podsOf(set, cache(Pods).list(ref.namespace))
  const reports = await Promise.all(
    pods.map(async (pod) => (isRunning(pod) ? shards.report(pod, signal) : null)),
  )
  const seen = pods.map((pod, at) => shardOf(ref.name, pod, reports[at] ?? null))
  return {
    set,
    pods: new Map(pods.map((pod) => [pod.metadata.name, pod])),
    world: {
      set: set === undefined ? null : setOf(set),
      shards: seen.toSorted((a, b) => a.ordinal - b.ordinal),
      revisions: set === undefined ? [] : revisionsOf(cache(ControllerRevisions).ownedBy(set.metadata.uid)),
    },
  }
}

function podsOf(set: Stored<StatefulSet>, all: readonly Stored<Pod>[]): Stored<Pod>[] {
  return all.filter(
    (pod) =>
      controllerOf(pod)?.uid === set.metadata.uid && ordinalOf(set.metadata.name, pod.metadata.name) !== null,
  )
}

function setOf(set: Stored<StatefulSet>): ShardSet {
  const notes = set.metadata.annotations ?? {}
  return {
    uid: set.metadata.uid,
    resourceVersion: set.metadata.resourceVersion,
    replicas: set.spec?.replicas ?? 1,
    partition: set.spec?.updateStrategy?.rollingUpdate?.partition ?? 0,
    isObserved: (set.status?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0),
    template: set.spec?.template.metadata?.annotations?.[POD.template] ?? '',
    completed: readNames(notes[SET.completed]),
    rejected: readNames(notes[SET.rejected]),
    step: readStep(notes[SET.step]),
  }
}

function revisionsOf(all: readonly Stored<ControllerRevision>[]): Revision[] {
  return all.flatMap(({ data, revision }) => {
    const { $patch: _, ...template } = templateIn(data)
    const hash = template.metadata?.annotations?.[POD.template]
    return hash === undefined ? [] : [{ hash, number: revision, template }]
  })
}

/** A revision holds the set's template as a strategic merge patch. */
function templateIn(data: unknown): PodTemplateSpec & { $patch?: string } {
  const patch = data as { spec?: { template?: PodTemplateSpec } } | undefined
  return patch?.spec?.template ?? {}
}

function isRunning(pod: Stored<Pod>): boolean {
  const container = pod.status?.containerStatuses?.find(({ name }) => name === CONTAINER)
  return pod.status?.phase === 'Running' && container?.state?.terminated === undefined
}

function shardOf(name: string, pod: Stored<Pod>, report: ShardReport | null): Shard {
  const { metadata, status } = pod
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  const createdAtMs = Date.parse(metadata.creationTimestamp ?? '') || 0
  const isLost = report === null && isUnheard(pod)
  const image = pod.spec?.containers.find((container) => container.name === CONTAINER)?.image ?? ''
  return {
    name: metadata.name,
    ordinal: ordinalOf(name, metadata.name)!,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    createdAtMs,
    isReady: ready?.status === 'True',
    readySinceMs: Math.max(
      Date.parse(ready?.lastTransitionTime ?? '') || createdAtMs,
      Date.parse(metadata.annotations?.[POD.undrained] ?? '') || 0,
    ),
    isTerminating: metadata.deletionTimestamp !== undefined,
    isRunning: isRunning(pod),
    template: metadata.annotations?.[POD.template] ?? '',
    version: versionOf(image),
    isDrainAsked: metadata.annotations?.[POD.drain] === 'true',
    mark: readMark(metadata.annotations?.[POD.draining]),
    isLost,
    trouble: isLost ? lostWords(pod) : troubleOf(pod),
    report,
  }
}

/**
 * Nobody but the node controller calls a pod not ready whose containers are said to be ready; later it has the pod deleted,
 * which the kubelet of a lost node never confirms.
 */
function isUnheard({ metadata, spec, status }: Stored<Pod>): boolean {
  const is = (type: string) => status?.conditions?.find((condition) => condition.type === type)
  if (metadata.deletionTimestamp !== undefined)
    return is('DisruptionTarget')?.reason === 'DeletionByTaintManager'
  if ((spec?.readinessGates ?? []).length > 0 || is('Ready')?.status !== 'False') return false
  const containers = status?.containerStatuses ?? []
  return containers.length > 0 && containers.every(({ ready }) => ready)
}

function lostWords({ metadata, spec }: Stored<Pod>): string {
  const node = spec?.nodeName ?? 'its node'
  return `${node} is not heard of; if it does not come back: kubectl delete pod ${metadata.name} --force`
}

/** Why it does not run, in the kubelet's or the scheduler's words. */
function troubleOf({ status }: Stored<Pod>): string | null {
  const waiting = status?.containerStatuses?.find(({ name }) => name === CONTAINER)?.state?.waiting
  if (waiting?.reason !== undefined && !['ContainerCreating', 'PodInitializing'].includes(waiting.reason))
    return [waiting.reason, waiting.message].filter((text) => text !== undefined && text !== '').join(': ')
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled')
  return scheduled?.status === 'False'
    ? `not scheduled: ${scheduled.message ?? scheduled.reason ?? ''}`
    : null
}

/** Tag or digest of an image's name. */
export function versionOf(image: string): string {
  const digest = image.indexOf('@')
  if (digest !== -1) return image.slice(digest + 1)
  const tag = image.lastIndexOf(':')
  return tag > image.lastIndexOf('/') ? image.slice(tag + 1) : 'latest'
}
