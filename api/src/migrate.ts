/**
 * Brings the database's schema up to date and ends: `node api/src/migrate.ts` before the processes start. With `--wait` it
 * changes nothing and ends when somebody else has done it. A database that isn't there yet is waited for, in both cases
 * for at most `--timeout` seconds (600).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { createDatabase } from './kernel/db.ts'
import { areJobsInstalled, installJobs } from './kernel/jobs.ts'
import { createMigrator } from './kernel/migrations.ts'
import { openTool } from './open-tool.ts'

const POLL_MS = 1_000
/** A line in the log for every so many looks in vain. */
const TELL_EVERY = 10

const Options = z.object({ wait: z.boolean(), timeout: z.coerce.number().positive() })

const { config, log } = openTool('migrate')
const options = Options.parse(
  parseArgs({
    options: {
      wait: { type: 'boolean', default: false },
      timeout: { type: 'string', default: '600' },
    },
  }).values,
)
const db = createDatabase({ url: config.DATABASE_URL, poolMax: 3, log, statementTimeoutMs: 0 })
const migrator = createMigrator(db, log)
try {
  await until('the database answers', async () => {
    await db.query('SELECT 1')
    return true
  })
  if (options.wait) {
    await until('somebody brings the schema up to date', async () => {
      return (await migrator.pending()).length === 0 && (await areJobsInstalled(config.DATABASE_URL))
    })
  } else {
    await migrator.up()
    await installJobs(config.DATABASE_URL)
  }
} finally {
  await db.close()
}

/** Asks until the answer is true; what the last look failed of is thrown when the time is over. */
async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + options.timeout * 1_000
  for (let look = 0; ; look += 1) {
    let reason: unknown
    try {
      if (await isTrue()) return
    } catch (error) {
      reason = error
    }
    if (performance.now() > endMs)
      throw new Error(`waited ${options.timeout} s until ${what}`, { cause: reason })
    if (look % TELL_EVERY === 0) log.info('db', `waiting until ${what}`, reason ? { error: reason } : {})
    await sleep(POLL_MS)
  }
}
