/** What is seen of a TunnelGateway at one moment, as plain data: everything that decisions rest on. */
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts'

/** What a shard says of itself (`GET /status` of its admin port). */
export interface ShardReport {
  readonly version: string
  readonly tunnels: number
  /** Requests under way here, for people and for other shards. */
  readonly inFlight: number
  readonly isDraining: boolean
  /** Its process is ending: a drain can't be taken back. */
  readonly isEnding: boolean
  /** Null: not drained. */
  readonly drainedAtMs: number | null
  readonly totals: Totals
  /** Null: its version does not tell. */
  readonly apiCalls: ApiCalls | null
  readonly epoch: number
  /** The shards on the ring as this one sees it, by name. */
  readonly serving: readonly string[]
}

export interface Totals {
  readonly requests: number
  readonly failed: number
  readonly offline: number
  readonly registrations: number
  readonly refused: number
}

/** Calls of the API in the last minute, in slices of time, the newest first. */
export interface ApiCalls {
  readonly calls: readonly number[]
  readonly failed: readonly number[]
}

export type DrainReason = 'ScaleIn' | 'Rollout' | 'Manual' | 'Deletion'

/** Why and since when the operator drains a shard; kept on the pod, and gone with it. */
export interface DrainMark {
  readonly reason: DrainReason
  readonly startedAtMs: number
  /** Tunnels of this shard, and of all, when it began. */
  readonly tunnels: number
  readonly fleetTunnels: number
}

export interface Shard {
  readonly name: string
  readonly ordinal: number
  readonly uid: string
  readonly resourceVersion: string
  readonly createdAtMs: number
  readonly isReady: boolean
  /** Since when it is ready, or is not; at the earliest since its drain was taken back. */
  readonly readySinceMs: number
  readonly isTerminating: boolean
  /** Its container runs: it may hold tunnels. */
  readonly isRunning: boolean
  /** Hash of its template; empty: unknown. */
  readonly template: string
  /** Tag or digest of its image. */
  readonly version: string
  /** A person asked for its drain. */
  readonly isDrainAsked: boolean
  readonly mark: DrainMark | null
  /** It ran, and neither it nor its node is heard of any more. */
  readonly isLost: boolean
  /** Why its container does not start, or who is not heard of, in words. */
  readonly trouble: string | null
  /** Null: it did not answer. */
  readonly report: ShardReport | null
}

export interface RolloutStep {
  readonly atMs: number
  /** Tunnels of all shards before it. */
  readonly fleetTunnels: number
}

export interface ShardSet {
  readonly uid: string
  readonly resourceVersion: string
  readonly replicas: number
  readonly partition: number
  /** Whether its controller has seen the last change. */
  readonly isObserved: boolean
  /** Hash of its pod template; empty: not one of ours. */
  readonly template: string
  readonly completed: readonly string[]
  readonly rejected: readonly string[]
  readonly step: RolloutStep | null
}

/** A template that the cluster still knows. */
export interface Revision {
  readonly hash: string
  readonly number: number
  readonly template: PodTemplateSpec
}

export interface World {
  /** Null: not made yet. */
  readonly set: ShardSet | null
  /** By ordinal. */
  readonly shards: readonly Shard[]
  readonly revisions: readonly Revision[]
}

/** Tunnels of all shards that answer. */
export function fleetTunnels(shards: readonly Shard[]): number {
  return shards.reduce((total, { report }) => total + (report?.tunnels ?? 0), 0)
}

/** It serves devices and people, as far as the cluster and the shard itself say. */
export function isServing(shard: Shard): boolean {
  return shard.isReady && !shard.isTerminating && shard.mark === null && shard.report?.isDraining !== true
}
