import type { Sequelize } from 'sequelize'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { effectiveTier, type TIER_LIMITS } from '#src/kernel/tiers.ts'
import type { Tier } from '../auth/contract.ts'
import { DAILY_TABLES, type Partitions } from './partitions.ts'

const DAY_MS = 86_400_000
/** A device repeats what was not acknowledged; later than a week it would get the time of receipt anyway. */
const RECEIPTS_DAYS = 7
/** Controllers in one DELETE: keeps each transaction, and what waits for it, short. */
const CONTROLLERS_PER_STEP = 100

/** The tables with a time column that retention looks at. */
const TIMED = [
  ['metrics', '"timestamp"'],
  ['logs', '"timestamp"'],
  ['metrics_1m', 'bucket'],
  ['metrics_1h', 'bucket'],
  ['page_figures', 'day'],
] as const

export interface RetentionResult {
  readonly partitionsDropped: number
  readonly rowsDeleted: number
}

/**
 * Deletes what is older than the tier of the controller's owner keeps. Days that are too old for everybody leave as
 * partitions; the rest row by row. Idempotent; takes up where it was stopped.
 */
export function createRetention({
  db,
  partitions,
  limits,
}: {
  db: Sequelize
  partitions: Partitions
  limits: typeof TIER_LIMITS
}): { run(now: Date): Promise<RetentionResult> } {
  async function dropPartitions(now: Date): Promise<number> {
    const longest = Math.max(...Object.values(limits).map((limit) => limit.metricsRetentionDays))
    let dropped = 0
    for (const table of DAILY_TABLES) {
      dropped += (await partitions.dropOlderThan(table, new Date(now.getTime() - longest * DAY_MS))).length
    }
    return dropped
  }

  async function deleteByTier(now: Date): Promise<number> {
    let deleted = 0
    for (let after: string | null = null; ;) {
      const owned: Owned[] = await controllersAfter(db, after)
      for (const [tier, own] of Map.groupBy(owned, (row) =>
        effectiveTier(row.tier, row.tierExpiresAt, now),
      )) {
        const before = new Date(now.getTime() - limits[tier].metricsRetentionDays * DAY_MS)
        deleted += await deleteOlder(
          db,
          own.map(({ id }) => id),
          before,
        )
      }
      after = owned.at(-1)?.id ?? null
      if (after === null) return deleted
    }
  }

  return {
    run: async (now) => {
      const partitionsDropped = await dropPartitions(now)
      const rowsDeleted = await deleteByTier(now)
      await db.query('DELETE FROM ingest_receipts WHERE received_at < $before', {
        bind: { before: new Date(now.getTime() - RECEIPTS_DAYS * DAY_MS).toISOString() },
      })
      return { partitionsDropped, rowsDeleted }
    },
  }
}

interface Owned {
  readonly id: string
  readonly tier: Tier
  readonly tierExpiresAt: Date | null
}

async function controllersAfter(db: Sequelize, after: string | null): Promise<Owned[]> {
  return rows<Owned>(
    db,
    `SELECT c.id, u.subscription_tier AS tier, u.subscription_expires_at AS "tierExpiresAt"
     FROM controllers c JOIN workspaces w ON w.id = c.workspace_id JOIN users u ON u.id = w.owner_id
     WHERE $after::uuid IS NULL OR c.id > $after ORDER BY c.id LIMIT $limit`,
    { after, limit: CONTROLLERS_PER_STEP },
  )
}

async function deleteOlder(db: Sequelize, ids: readonly string[], before: Date): Promise<number> {
  let deleted = 0
  for (const [table, column] of TIMED) {
    const row = await db.transaction(async (transaction) => {
      // A day of a hundred controllers is millions of rows: longer than a request may take.
      await rows(db, 'SET LOCAL statement_timeout = 0', {}, transaction)
      return firstRow<{ count: number }>(
        db,
        `WITH gone AS (
           DELETE FROM ${table} WHERE controller_id = ANY($ids::uuid[]) AND ${column} < $before RETURNING 1
         ) SELECT count(*)::int AS count FROM gone`,
        { ids, before: before.toISOString() },
        transaction,
      )
    })
    deleted += row?.count ?? 0
  }
  return deleted
}
