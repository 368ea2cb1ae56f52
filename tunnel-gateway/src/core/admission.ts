/** Who may open a tunnel now: sockets that have not registered are bounded by address and in total. */
import { createBuckets, takeFrom } from './buckets.ts'
import type { BucketRule } from './buckets.ts'

export interface AdmissionRules {
  readonly maxTunnels: number
  readonly maxUnregistered: number
  readonly maxUnregisteredPerAddress: number
  readonly perAddress: BucketRule
  /** Registrations of the whole process: a reconnect storm is absorbed in order. */
  readonly registrations: BucketRule
}

export type Admitted = 'yes' | 'address_full' | 'address_too_fast' | 'full'

export type Admission = ReturnType<typeof createAdmission>

/** Strangers who are too early must not send everybody else away for long. */
const MAX_PROMISE_MS = 30_000

/** Counts of one process; `address` is the limiter's key of a client address. */
export function createAdmission(rules: AdmissionRules) {
  const byAddress = new Map<string, number>()
  const rates = createBuckets(50_000)
  let unregistered = 0
  let arrivalAt = 0
  /** The last time that somebody who was too early was told. */
  let promisedAt = 0

  return {
    /** A socket wants in. `yes` must be followed by one `left` when it registered or went. */
    enter(address: string, tunnels: number, now: number, isShedding = false): Admitted {
      if (isShedding) return 'full'
      const open = byAddress.get(address) ?? 0
      if (tunnels + unregistered >= rules.maxTunnels || unregistered >= rules.maxUnregistered) return 'full'
      if (open >= rules.maxUnregisteredPerAddress) return 'address_full'
      if (rates.take(address, rules.perAddress, now) > 0) return 'address_too_fast'
      byAddress.set(address, open + 1)
      unregistered += 1
      return 'yes'
    },
    left(address: string): void {
      const open = (byAddress.get(address) ?? 1) - 1
      if (open <= 0) byAddress.delete(address)
      else byAddress.set(address, open)
      unregistered -= 1
    },
    /**
     * Milliseconds to wait before a registration may be tried; 0: now, and it counts. Those who are too early are told
     * different times, one after the other at the rate of registrations: a crowd comes back as a queue.
     */
    register(now: number): number {
      const taken = takeFrom(arrivalAt, rules.registrations, now)
      arrivalAt = taken.arrivalAt
      if (taken.retryAfterMs === 0) return 0
      const { count, periodMs } = rules.registrations
      promisedAt = Math.min(Math.max(promisedAt, now) + periodMs / count, now + MAX_PROMISE_MS)
      return Math.max(taken.retryAfterMs, Math.ceil(promisedAt - now))
    },
    unregistered: () => unregistered,
  }
}

/** What a device that was too early is told: spread a little, so that those of several shards do not come together. */
export function toldDelayMs(waitMs: number, random: number): number {
  return Math.ceil(waitMs + random * 1_000)
}
