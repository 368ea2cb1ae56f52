/** What is left to do once a dump is loaded. */
import type { Logger } from '@wmoc/platform/log'
import type { Sequelize } from 'sequelize'
import { installJobs } from '../kernel/jobs.ts'
import { createMigrator } from '../kernel/migrations.ts'

/**
 * Brings the schema up to date, and ends every session and every link that was sent: those that were ended after the
 * backup would be good again. People sign in once more; controllers go on with the secrets they have. `db` must have no
 * statement timeout. Doing it twice does no harm but to sessions.
 */
export async function finishRestore(
  db: Sequelize,
  databaseUrl: string,
  log: Logger,
): Promise<{ migrations: string[] }> {
  const migrations = await createMigrator(db, log).up()
  await installJobs(databaseUrl)
  await db.transaction(async (transaction) => {
    await db.query(
      `UPDATE sessions SET revoked_at = now(), revoked_reason = 'revoked' WHERE revoked_at IS NULL`,
      { transaction },
    )
    await db.query('UPDATE one_time_tokens SET used_at = now() WHERE used_at IS NULL', { transaction })
  })
  log.info('db', 'restore finished, sessions ended')
  return { migrations }
}
