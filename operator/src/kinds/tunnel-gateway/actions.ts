/** What a plan may want done. Each is safe to do twice and refused by the server where the world has moved on. */
import type { DrainMark, RolloutStep } from './world.ts'

/** Told on the TunnelGateway once the action is done. */
export interface Tell {
  readonly type: 'Normal' | 'Warning'
  readonly reason: Reason
  readonly message: string
}

/** Reasons of Events; documented in README.md. */
export const REASONS = [
  'ShardDrainStarted',
  'ShardDrainCompleted',
  'ShardDrainTimedOut',
  'ShardUndrained',
  'ShardLost',
  'ShardBack',
  'RingEpochAdvanced',
  'RolloutStarted',
  'RolloutStepCompleted',
  'RolloutCompleted',
  'RolloutAborted',
  'ScaledOut',
  'ScaledIn',
  'ScaleInBlocked',
  'Autoscaled',
  'InvalidSpec',
  'ApplyRefused',
] as const
export type Reason = (typeof REASONS)[number]

/** The StatefulSet as it should be, with the operator's notes. */
export interface SetState {
  readonly replicas: number
  readonly partition: number
  /** Hash of the pod template. */
  readonly template: string
  readonly completed: readonly string[]
  readonly rejected: readonly string[]
  readonly step: RolloutStep | null
}

export type Action =
  | { readonly type: 'set'; readonly set: SetState; readonly tells: readonly Tell[] }
  /** Written on the pod before it is drained, so that whoever comes next knows. */
  | {
      readonly type: 'mark'
      readonly shard: string
      readonly mark: DrainMark
      readonly tells: readonly Tell[]
    }
  | {
      readonly type: 'drain'
      readonly shard: string
      readonly evictPerSecond: number
      readonly deadlineMs: number
    }
  | {
      readonly type: 'undrain'
      readonly shard: string
      readonly atMs: number
      readonly tells: readonly Tell[]
    }
  /** Writes `spec.replicas`. */
  | { readonly type: 'scale'; readonly replicas: number; readonly tells: readonly Tell[] }
  /** Lets the deleted TunnelGateway go. */
  | { readonly type: 'release' }
