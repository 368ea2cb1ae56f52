/** Rate limits that hold while the shared store is away: each process then counts for itself, with its share. */
import { createEmbeddedStoreCore } from './core/embedded-store.ts'
import { AppError } from './errors.ts'
import type { LimitResult, LimitRule, Store } from './store.ts'

export interface Limiter {
  /** Takes `cost` (default 1) from the bucket `key`. Never rejects because the store is away, and never lets all through. */
  readonly take: (key: string, rule: LimitRule, cost?: number) => Promise<LimitResult>
}

const SWEEP_EVERY = 10_000

/**
 * @param options.processes How many processes of this kind share the load: while the store is away each allows 1/N of
 *   the rule, but at least one request at a time.
 * @param options.now Milliseconds since 1970.
 */
export function createLimiter(options: {
  store: Pick<Store, 'limit'>
  processes: number
  now?: () => number
}): Limiter {
  const local = createEmbeddedStoreCore(options.now ?? Date.now)
  let decisions = 0

  return {
    async take(key, rule, cost = 1) {
      try {
        return await options.store.limit(key, rule, cost)
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'dependency_unavailable') throw error
        if (++decisions % SWEEP_EVERY === 0) local.sweep()
        return local.limit(key, shareOf(rule, options.processes), cost)
      }
    },
  }
}

function shareOf(rule: LimitRule, processes: number): LimitRule {
  return {
    burst: Math.max(1, Math.floor(rule.burst / processes)),
    count: rule.count,
    periodMs: rule.periodMs * processes,
  }
}
