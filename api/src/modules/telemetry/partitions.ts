import type { Sequelize } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'

/** The tables that are partitioned by UTC day. */
export const DAILY_TABLES = ['metrics', 'logs'] as const
export type DailyTable = (typeof DAILY_TABLES)[number]

const DAY_MS = 86_400_000

export interface Partitions {
  /** Makes the partitions of these days (`YYYY-MM-DD`, UTC) where they are missing; any number of callers at once. */
  ensure(table: DailyTable, days: readonly string[]): Promise<void>
  /** Makes yesterday's to the day after tomorrow's. */
  ensureAround(now: Date): Promise<void>
  /** Drops partitions that ended at or before `before`; answers their names. */
  dropOlderThan(table: DailyTable, before: Date): Promise<string[]>
  /** Forgets which partitions are there: another process dropped one. */
  forget(): void
}

/** Daily partitions of metrics and logs. What was seen once is remembered, so a batch asks the database nothing. */
export function createPartitions(db: Sequelize): Partitions {
  const known = new Set<string>()

  async function ensure(table: DailyTable, days: readonly string[]): Promise<void> {
    for (const day of days) {
      if (known.has(`${table} ${day}`)) continue
      await db.query('SELECT ensure_day_partition($table, $day::date)', { bind: { table, day } })
      known.add(`${table} ${day}`)
    }
  }

  return {
    ensure,
    ensureAround: async (now) => {
      const days = [-1, 0, 1, 2].map((offset) => dayOf(now.getTime() + offset * DAY_MS))
      for (const table of DAILY_TABLES) await ensure(table, days)
    },
    dropOlderThan: async (table, before) => {
      const names = (await partitionsOf(db, table)).filter((name) => endOf(name) <= before.getTime())
      for (const name of names) {
        // A drop locks the parent: better to give up and come again than to queue every writer behind it.
        await db.transaction(async (transaction) => {
          await db.query(`SET LOCAL lock_timeout = '2s'`, { transaction })
          await db.query(`DROP TABLE IF EXISTS ${name}`, { transaction })
        })
      }
      known.clear()
      return names
    },
    forget: () => known.clear(),
  }
}

/** Names of the daily partitions that exist, oldest first. */
export async function partitionsOf(db: Sequelize, table: DailyTable): Promise<string[]> {
  const found = await rows<{ name: string }>(
    db,
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = $table::regclass ORDER BY 1`,
    { table },
  )
  return found.map(({ name }) => name).filter((name) => new RegExp(`^${table}_\\d{8}$`).test(name))
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function endOf(name: string): number {
  const day = name.slice(-8)
  return Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`) + DAY_MS
}
