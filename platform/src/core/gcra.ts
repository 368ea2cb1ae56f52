/** GCRA, the limiter behind every rate limit: pure, so that both stores and the local fallback agree to the millisecond. */
import type { LimitResult, LimitRule } from '../store.ts'

/**
 * Decides one request.
 * @param tatMs Theoretical arrival time kept from the last decision; 0 when there is none.
 * @param nowMs The store's clock.
 * @returns The answer, and the arrival time to keep (unchanged where refused).
 */
export function gcra(
  tatMs: number,
  nowMs: number,
  rule: LimitRule,
  cost: number,
): { result: LimitResult; tatMs: number } {
  const intervalMs = rule.periodMs / rule.count
  const toleranceMs = intervalMs * rule.burst
  const base = Math.max(tatMs, nowMs)
  const next = base + intervalMs * cost
  const allowAt = next - toleranceMs
  if (allowAt > nowMs) {
    return {
      tatMs,
      result: {
        allowed: false,
        limit: rule.burst,
        remaining: Math.max(0, Math.floor((toleranceMs - (base - nowMs)) / intervalMs)),
        retryAfterMs: Math.ceil(allowAt - nowMs),
        resetAfterMs: Math.ceil(base - nowMs),
      },
    }
  }
  return {
    tatMs: next,
    result: {
      allowed: true,
      limit: rule.burst,
      remaining: Math.max(0, Math.floor((toleranceMs - (next - nowMs)) / intervalMs)),
      retryAfterMs: 0,
      resetAfterMs: Math.ceil(next - nowMs),
    },
  }
}
