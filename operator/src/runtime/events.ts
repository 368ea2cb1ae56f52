/** Events of the cluster about our objects: `kubectl describe` shows them. */
import type { Stored } from './objects.ts'

export interface EventDetails {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, documented, stable: `ShardDrainStarted`. */
  readonly reason: string
  /** What we were doing, CamelCase: `Drain`, `Rollout`, `Reconcile`. */
  readonly action: string
  /** For people; at most 1,024 characters, longer ones are cut. */
  readonly message: string
}

export interface EventRecorder {
  /**
   * Tells of something that happened to an object. The same reason on the same object within ten minutes is counted in
   * one Event with the last message. Never throws and is not waited for: an Event that can't be written is only logged.
   */
  record(object: Stored, event: EventDetails): void
  /** Resolves when all that was recorded is written or given up. */
  flush(): Promise<void>
}
