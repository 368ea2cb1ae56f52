/** The database's own memory of its backups. */
import type { Metrics } from '@wmoc/platform/metrics'
import { readOnScrape } from '@wmoc/platform/scrape'
import type { Sequelize } from 'sequelize'
import { firstRow } from '../kernel/rows.ts'
import type { BackupManifest } from './core/manifest.ts'

/** Older ones are of no use to anybody: retention is counted in the target. */
const KEEP_DAYS = 400
const READ_EVERY_MS = 60_000

/** Writes down that a backup was stored and read back; one told twice is one. */
export async function recordBackup(db: Sequelize, { name, bytes, createdAt }: BackupManifest): Promise<void> {
  await db.query(
    'INSERT INTO backups (name, bytes, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING',
    { bind: [name, bytes, createdAt] },
  )
  await db.query(`DELETE FROM backups WHERE created_at < now() - interval '${KEEP_DAYS} days'`)
}

/** Shows when the newest backup was taken, where there ever was one. */
export function watchBackups(db: Sequelize, metrics: Metrics): void {
  const gauge = metrics.gauge(
    'wmoc_backup_last_success_timestamp_seconds',
    'When the newest backup was taken that was stored and read back.',
  )
  readOnScrape(
    gauge,
    async () => {
      const row = await firstRow<{ at: number | null }>(
        db,
        'SELECT extract(epoch FROM max(created_at))::float8 AS at FROM backups',
        {},
      )
      return row?.at ? [{ labels: {}, value: row.at }] : []
    },
    { everyMs: READ_EVERY_MS },
  )
}
