/** The database that a backup goes into: who is in it, what is in it, emptying and loading it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Sequelize } from 'sequelize'
import { rows } from '../kernel/rows.ts'

/** Shown by our own connections, so that they are told from those of processes that run. */
export const RESTORE_APPLICATION = 'wmoc-restore'

export interface DatabaseState {
  readonly database: string
  /** Schemas with anything in them. */
  readonly schemas: readonly string[]
  /** Processes of the platform that are connected. */
  readonly processes: readonly string[]
}

/** Looks only. */
export async function inspectDatabase(db: Sequelize): Promise<DatabaseState> {
  const [current] = await rows<{ database: string }>(db, 'SELECT current_database() AS database', {})
  const schemas = await rows<{ name: string }>(
    db,
    `SELECT DISTINCT nspname AS name FROM pg_class
       JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%' ORDER BY name`,
    {},
  )
  const processes = await rows<{ name: string }>(
    db,
    `SELECT DISTINCT application_name AS name FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'wmoc-%' AND application_name <> $own ORDER BY name`,
    { own: RESTORE_APPLICATION },
  )
  return {
    database: current!.database,
    schemas: schemas.map(({ name }) => name),
    processes: processes.map(({ name }) => name),
  }
}

/** Removes these schemas with everything in them, and makes an empty `public` again. */
export async function emptyDatabase(db: Sequelize, schemas: readonly string[]): Promise<void> {
  const quoted = schemas.map((name) => `"${name.replaceAll('"', '""')}"`)
  await db.transaction(async (transaction) => {
    await db.query(`DROP SCHEMA ${quoted.join(', ')} CASCADE`, { transaction })
    await db.query('CREATE SCHEMA IF NOT EXISTS public', { transaction })
  })
}

/** Loads the dump by `pg_restore`, all of it or nothing; rejects with its last lines. */
export async function loadDump(databaseUrl: string, file: string): Promise<void> {
  const url = new URL(databaseUrl)
  const password = decodeURIComponent(url.password)
  // Everybody on a machine sees arguments; not everybody sees the environment.
  url.password = ''
  const child = spawn(
    'pg_restore',
    [
      '--no-owner',
      '--no-privileges',
      '--exit-on-error',
      '--single-transaction',
      `--dbname=${url.href}`,
      file,
    ],
    {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, ...(password ? { PGPASSWORD: password } : {}), PGAPPNAME: RESTORE_APPLICATION },
    },
  )
  let output = ''
  child.stderr.on('data', (chunk) => (output = (output + String(chunk)).slice(-4_000)))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`pg_restore failed, nothing was loaded:\n${output}`)
}
