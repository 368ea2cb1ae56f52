import type { Sequelize } from 'sequelize'
import { firstRow, rows } from '#src/kernel/rows.ts'
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
] as const

export interface RetentionResult {
  readonly partitionsDropped: number
  readonly rowsDeleted: number
}

/**
 * Deletes what is older than the owner's tier keeps. Whole days that are too old for everybody leave as partitions;
 * the rest row by row. `retentionDays` answers for a controller's owner. Idempotent; takes up where it was stopped.
 */
export function createRetention(deps: {
  db: Sequelize
  partitions: Partitions
  /** Days of metrics that each tier keeps. */
  daysByController: (controllerIds: readonly string[]) => Promise<ReadonlyMap<string, number>>
  /** The longest of all tiers. */
  maxDays: number
}): { run(now: Date): Promise<RetentionResult> } {
  const { db, partitions, daysByController, maxDays } = deps

  async function dropPartitions(now: Date): Promise<number> {
    const before = new Date(now.getTime() - maxDays * DAY_MS)
    let dropped = 0
    for (const table of DAILY_TABLES) dropped += (await partitions.dropOlderThan(table, before)).length
    return dropped
  }

  async function deleteByTier(now: Date): Promise<number> {
    let deleted = 0
    for (let after: string | null = null; ;) {
      const ids: string[] = await controllersAfter(db, after)
      if (ids.length === 0) return deleted
      const days = await daysByController(ids)
      for (const [kept, own] of Map.groupBy(ids, (id) => days.get(id) ?? maxDays)) {
        deleted += await deleteOlder(db, own, new Date(now.getTime() - kept * DAY_MS))
      }
      after = ids.at(-1) ?? null
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

async function controllersAfter(db: Sequelize, after: string | null): Promise<string[]> {
  const found = await rows<{ id: string }>(
    db,
    'SELECT id FROM controllers WHERE $after::uuid IS NULL OR id > $after ORDER BY id LIMIT $limit',
    { after, limit: CONTROLLERS_PER_STEP },
  )
  return found.map(({ id }) => id)
}

async function deleteOlder(db: Sequelize, ids: readonly string[], before: Date): Promise<number> {
  let deleted = 0
  for (const [table, column] of TIMED) {
    const row = await db.transaction((transaction) =>
      firstRow<{ count: number }>(
        db,
        `WITH gone AS (
           DELETE FROM ${table} WHERE controller_id = ANY($ids::uuid[]) AND ${column} < $before RETURNING 1
         ) SELECT count(*)::int AS count FROM gone`,
        { ids, before: before.toISOString() },
        transaction,
      ),
    )
    deleted += row?.count ?? 0
  }
  return deleted
}
