/** Brings the database's schema up to date and ends: `node api/src/migrate.ts` before the processes start. */
import { createDatabase } from './kernel/db.ts'
import { installJobs } from './kernel/jobs.ts'
import { createMigrator } from './kernel/migrations.ts'
import { openTool } from './open-tool.ts'

const { config, log } = openTool('migrate')
const db = createDatabase({ url: config.DATABASE_URL, poolMax: 3, log, statementTimeoutMs: 0 })
try {
  await createMigrator(db, log).up()
  await installJobs(config.DATABASE_URL)
} finally {
  await db.close()
}
