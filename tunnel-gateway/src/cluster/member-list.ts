/**
 * The members as one shard knows them, from what it reads in the store. Pure: reads and time go in, the list comes out.
 * A member that is missing from a read is gone, with two exceptions: one that answers over its link has lost the store,
 * not its life; and when the store has lost writes, the others get the time to write theirs again.
 */
import { z } from 'zod'
import { Member } from './members.ts'

/** What stands in a lease. */
export const LeaseValue = Member.extend({
  /** Grows with each write: one that is read back older than it was written shows that the store lost writes. */
  beat: z.int().min(0),
  /** By the clock of the shard; only tells a shard from its predecessor. */
  startedAtMs: z.number(),
})
export type LeaseValue = z.infer<typeof LeaseValue>

export interface MemberList {
  /** What was read. @param now Monotonic. */
  adopt(read: readonly LeaseValue[], now: number): void
  /** The store has lost writes, or was away: nobody who is missing is taken for gone until `graceMs` later. */
  storeLost(now: number): void
  /** It said goodbye. */
  left(instance: string): void
  all(): readonly LeaseValue[]
  /** The member of this instance; else the one that serves (else drains) this shard, the youngest of several. */
  find(shardOrInstance: string): LeaseValue | undefined
}

/**
 * @param self This process, always in the list.
 * @param isReached Whether that instance answers this one at present.
 */
export function createMemberList(
  self: () => LeaseValue,
  graceMs: number,
  isReached: (instance: string) => boolean,
): MemberList {
  let others = new Map<string, LeaseValue>()
  let graceUntil = -Infinity

  const all = () => [self(), ...others.values()]
  return {
    adopt(read, now) {
      const next = new Map<string, LeaseValue>()
      for (const [instance, member] of others) {
        if (now < graceUntil || isReached(instance)) next.set(instance, member)
      }
      for (const member of read) if (member.instance !== self().instance) next.set(member.instance, member)
      others = next
    },
    storeLost(now) {
      graceUntil = now + graceMs
    },
    left: (instance) => void others.delete(instance),
    all,
    find(name) {
      const own = self()
      if (own.instance === name) return own
      const instance = others.get(name)
      if (instance !== undefined) return instance
      let found = own.shard === name ? own : undefined
      for (const member of others.values()) {
        if (member.shard === name && (found === undefined || isBefore(member, found))) found = member
      }
      return found
    },
  }
}

/** Of two members with one place on the ring. */
function isBefore(one: LeaseValue, other: LeaseValue): boolean {
  if (one.state !== other.state) return one.state === 'serving'
  return one.startedAtMs > other.startedAtMs
}
