/** Rate limits by name: figures in one table, counted in the store, with a local fallback while it is away. */
import { appError } from '@wmoc/platform/errors'
import type { Logger } from '@wmoc/platform/log'
import type { LimitResult, LimitRule, Store } from '@wmoc/platform/store'
import type { RateLimitName } from './contract.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** `default` of a signed-in person is the tier's figure; this row is for everybody else. */
export const RATE_LIMITS: Readonly<Record<RateLimitName, LimitRule>> = {
  default: { burst: 300, count: 300, periodMs: MINUTE_MS },
  login: { burst: 20, count: 60, periodMs: 15 * MINUTE_MS },
  register: { burst: 10, count: 20, periodMs: HOUR_MS },
  mail: { burst: 5, count: 10, periodMs: HOUR_MS },
  claim: { burst: 20, count: 60, periodMs: 10 * MINUTE_MS },
  write: { burst: 60, count: 120, periodMs: MINUTE_MS },
}

/** How many API processes the local fallback reckons with: each lets 1/N through while the store is away. */
const FALLBACK_SHARE = 4
const FALLBACK_KEYS = 10_000

export interface RateLimiter {
  /** Takes one from a bucket. Never rejects: without the store a local bucket of 1/N decides. */
  take(key: string, rule: LimitRule): Promise<LimitResult>
  /** As `take`; throws 429 `rate_limited` when the bucket is empty. */
  require(key: string, rule: LimitRule): Promise<void>
}

/** Makes the limiter. `clock` serves the local fallback only. */
export function createRateLimiter(store: Store, log: Logger, clock: () => Date): RateLimiter {
  const local = new Map<string, number>()

  /** GCRA as the store does it, over a map whose oldest keys go first. */
  function takeLocally(key: string, rule: LimitRule): LimitResult {
    const now = clock().getTime()
    const burst = Math.max(1, Math.floor(rule.burst / FALLBACK_SHARE))
    const stepMs = (rule.periodMs / rule.count) * FALLBACK_SHARE
    const arrival = Math.max(local.get(key) ?? now, now)
    const waitMs = arrival + stepMs - burst * stepMs - now
    const allowed = waitMs <= 0
    const next = allowed ? arrival + stepMs : arrival
    local.delete(key)
    local.set(key, next)
    if (local.size > FALLBACK_KEYS) local.delete(local.keys().next().value ?? key)
    return {
      allowed,
      limit: burst,
      remaining: Math.max(0, Math.floor((burst * stepMs - (next - now)) / stepMs)),
      retryAfterMs: allowed ? 0 : Math.ceil(waitMs),
      resetAfterMs: Math.max(0, Math.ceil(next - now)),
    }
  }

  const take: RateLimiter['take'] = async (key, rule) => {
    try {
      return await store.limit(`wmoc:limit:${key}`, rule)
    } catch (error) {
      log.debug('store', 'limits are counted locally', { error })
      return takeLocally(key, rule)
    }
  }
  return {
    take,
    async require(key, rule) {
      const result = await take(key, rule)
      if (!result.allowed) throw appError('rate_limited', { retryAfterMs: result.retryAfterMs })
    },
  }
}
