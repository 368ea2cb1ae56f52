/** What the tier of a workspace's owner allows. */
import type { Sequelize, Transaction } from 'sequelize'
import type { Tier } from '#src/modules/auth/contract.ts'
import { rows } from '#src/kernel/rows.ts'
import { effectiveTier, TIER_LIMITS } from '#src/kernel/tiers.ts'
import type { TierLimits } from '#src/kernel/tiers.ts'

export interface WorkspaceLimits {
  /** An entry for each workspace that exists. */
  of(workspaceIds: readonly string[], transaction?: Transaction): Promise<Map<string, TierLimits>>
}

/** Limits of workspaces, read anew each time: a tier that ran out counts at once. */
export function createWorkspaceLimits(db: Sequelize, clock: () => Date): WorkspaceLimits {
  return {
    async of(workspaceIds, transaction) {
      if (workspaceIds.length === 0) return new Map()
      const found = await rows<{ id: string; tier: Tier; expiresAt: Date | null }>(
        db,
        `SELECT w.id, u.subscription_tier AS tier, u.subscription_expires_at AS "expiresAt"
         FROM workspaces w JOIN users u ON u.id = w.owner_id WHERE w.id = ANY($workspaceIds::uuid[])`,
        { workspaceIds },
        transaction,
      )
      return new Map(
        found.map((row) => [row.id, TIER_LIMITS[effectiveTier(row.tier, row.expiresAt, clock())]]),
      )
    },
  }
}
