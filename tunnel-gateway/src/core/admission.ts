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

/** Counts of one process; `address` is the limiter's key of a client address. */
export function createAdmission(rules: AdmissionRules) {
  const byAddress = new Map<string, number>()
  const rates = createBuckets(50_000)
  let unregistered = 0
  let arrivalAt = 0

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
    /** Milliseconds to wait before a registration may be tried; 0: now, and it counts. */
    register(now: number): number {
      const taken = takeFrom(arrivalAt, rules.registrations, now)
      arrivalAt = taken.arrivalAt
      return taken.retryAfterMs
    },
    unregistered: () => unregistered,
  }
}
