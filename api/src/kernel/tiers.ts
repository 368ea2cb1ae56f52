/** What each subscription tier allows, in one table. Pure. */
import type { Tier } from '#src/modules/auth/contract.ts'

export interface TierLimits {
  readonly controllers: number
  readonly metricsRetentionDays: number
  /** Proxied requests a minute for each controller. */
  readonly requestsPerMinute: number
}

export const TIER_LIMITS: Readonly<Record<Tier, TierLimits>> = {
  free: { controllers: 3, metricsRetentionDays: 7, requestsPerMinute: 600 },
  basic: { controllers: 50, metricsRetentionDays: 90, requestsPerMinute: 3_000 },
  premium: { controllers: 10_000, metricsRetentionDays: 365, requestsPerMinute: 12_000 },
}

/** The tier that counts now: a paid one that has run out is `free`; without an end it never runs out. */
export function effectiveTier(tier: Tier, expiresAt: Date | null, now: Date): Tier {
  return expiresAt !== null && expiresAt <= now ? 'free' : tier
}
