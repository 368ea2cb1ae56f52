/**
 * What a controller is. One controller has one root kind; `reconcile` looks at the world and moves it one step nearer to
 * what the object says. It is not told which event woke it up, and may run at any time, any number of times.
 */
import type { Logger } from '@wmoc/platform/log'
import type { KubeClient } from './client.ts'
import type { EventRecorder } from './events.ts'
import type { Cache } from './informer.ts'
import type { Ref, Resource, Stored } from './objects.ts'

export interface ReconcileContext<T> {
  /** The root object as the cache knows it, or null where it is gone. May lag behind our own last write. */
  readonly object: Stored<T> | null
  /** Sends nothing any more once leadership or this reconciliation's time is over. */
  readonly client: KubeClient
  /** What the informers know of the root kind and of everything in `owns` and `watches`; throws for another kind. */
  cache<O>(kind: Resource<O>): Cache<O>
  readonly events: EventRecorder
  readonly log: Logger
  /** Aborted at the time limit and when leadership is lost: pass it on to everything that waits. */
  readonly signal: AbortSignal
  /** Failures of this key in a row before this try. */
  readonly failures: number
  /** Wall clock, ms since 1970; to be handed to the pure parts. */
  now(): number
}

export interface ReconcileResult {
  /** Look again after this time though nothing changed. */
  readonly requeueAfterMs?: number
}

/** Another kind whose changes concern objects of the root kind. */
export interface Watch<O = unknown> {
  readonly kind: Resource<O>
  readonly labelSelector?: string
  /** Of a kind that a cluster may not have: nobody waits for it, and it is looked for once a minute. */
  readonly isOptional?: boolean
  /** The root objects that a change of `object` concerns. Absent: the one that owns it (controller reference). */
  concerns?(object: Stored<O>): readonly Ref[]
}

export interface ControllerDefinition<T = unknown> {
  /** The root kind. */
  readonly kind: Resource<T>
  /** Whether metrics tell the conditions of each object by its name: for kinds of which a cluster has few. */
  readonly isFew?: boolean
  /** Kinds whose objects have a root object as their controller. */
  readonly owns?: readonly Resource[]
  readonly watches?: readonly Watch[]
  /**
   * One step towards what the object says. Throwing means: try again with back-off; the message becomes a line of the log.
   * What the user has to mend belongs into a condition, not into an error.
   */
  reconcile(ref: Ref, context: ReconcileContext<T>): Promise<ReconcileResult | void>
  /** Objects reconciled at the same time; one object never twice. Default 2. */
  readonly concurrency?: number
  /** Time limit of one reconciliation; default 60 s. */
  readonly timeoutMs?: number
  /** Every object is looked at again after about this time; default 10 min. */
  readonly resyncMs?: number
}
