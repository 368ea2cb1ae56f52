/** Rate limits held in this process: GCRA, one number per key. Time comes in. */

export interface BucketRule {
  /** Allowed at once after a quiet time. */
  readonly burst: number
  readonly count: number
  readonly periodMs: number
}

/**
 * One bucket: takes `cost`. The state is the theoretical arrival time; keep the one that comes back.
 * @returns `retryAfterMs` is 0 when allowed.
 */
export function takeFrom(
  arrivalAt: number,
  rule: BucketRule,
  now: number,
  cost = 1,
): { readonly arrivalAt: number; readonly retryAfterMs: number } {
  const interval = rule.periodMs / rule.count
  const next = Math.max(arrivalAt, now) + interval * cost
  const early = next - now - interval * rule.burst
  // Sums of fractions are not exact; what is early by less than a nanosecond is on time.
  return early > 1e-6 ? { arrivalAt, retryAfterMs: Math.ceil(early) } : { arrivalAt: next, retryAfterMs: 0 }
}

export interface Buckets {
  /** Milliseconds until it would be allowed; 0: taken. */
  take(key: string, rule: BucketRule, now: number): number
  readonly size: number
}

/** Many buckets by key, at most `maxKeys`: full buckets are forgotten first, then the oldest. */
export function createBuckets(maxKeys: number): Buckets {
  const arrivals = new Map<string, number>()
  return {
    take(key, rule, now) {
      const { arrivalAt, retryAfterMs } = takeFrom(arrivals.get(key) ?? 0, rule, now)
      if (retryAfterMs > 0) return retryAfterMs
      arrivals.delete(key)
      arrivals.set(key, arrivalAt)
      if (arrivals.size > maxKeys) {
        for (const [other, at] of arrivals) {
          if (at <= now || arrivals.size > maxKeys) arrivals.delete(other)
          if (arrivals.size <= maxKeys / 2) break
        }
      }
      return 0
    },
    get size() {
      return arrivals.size
    },
  }
}
