/** Who the shards are, as every shard of the cluster sees it. */
import { z } from 'zod'

/** What a shard writes in its lease. */
export const Member = z.object({
  /** Its place on the ring (`SHARD_ID`); a replacement takes the same place. */
  shard: z.string().min(1).max(64),
  /** This very process: `{shard}@{random}`. Presence names instances, so that a restarted shard is not taken for its predecessor. */
  instance: z.string().min(1).max(100),
  /** host:port of the listener for other shards. */
  peerAddress: z.string().min(1).max(255),
  /** Share of the ring in relation to others; 1 unless set. */
  weight: z.number().min(0.1).max(100),
  /** A draining shard is off the ring, still serves what it holds and relays. */
  state: z.enum(['serving', 'draining']),
})
export type Member = z.infer<typeof Member>

/** Which shard a controller belongs to. Immutable; made anew when the serving members change. */
export interface Ring {
  /** Grows with each change that this process saw; for metrics and status. */
  readonly epoch: number
  /** Shard ids on the ring. */
  readonly shards: readonly string[]
  /** Null: nobody serves. */
  ownerOf(controllerId: string): string | null
  /** Share of all controllers that a shard owns, 0–1. */
  ownershipOf(shard: string): number
}

export interface Membership {
  readonly self: Member
  /** All live members, this one included, by instance. */
  members(): readonly Member[]
  /** The member that serves (else drains) this shard id, or is this instance. */
  find(shardOrInstance: string): Member | undefined
  ring(): Ring
  /** Called after every change of `members()` or `ring()`; the answer ends it. */
  onChange(listener: () => void): () => void
  /** From now on the others see this shard as draining. */
  leaveRing(): Promise<void>
  /** Takes `leaveRing` back. */
  rejoinRing(): Promise<void>
}
