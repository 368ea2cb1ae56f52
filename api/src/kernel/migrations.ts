/** Schema migrations: `api/migrations/NNNN-name.ts`, each with `up` and `down`, each in a transaction of its own. */
import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Logger } from '@wmoc/platform/log'
import type { Sequelize, Transaction } from 'sequelize'
import { QueryTypes } from 'sequelize'
import { Umzug } from 'umzug'

const FOLDER = new URL('../../migrations/', import.meta.url)
/** Advisory lock: of several processes that start at once one migrates and the others wait. */
const LOCK = 0x77_6d_6f_63

interface Migration {
  up(input: { context: Sequelize }): Promise<void>
  down(input: { context: Sequelize }): Promise<void>
}

export interface Migrator {
  /** Names of those that this version knows and the database lacks; all of them where it is empty. */
  pending(): Promise<string[]>
  /** Applies what is missing; answers the names applied. */
  up(): Promise<string[]>
  /** Takes everything back, newest first; data is lost. For tests and development. */
  down(): Promise<string[]>
}

/** `db` must have no statement timeout and room for two connections. */
export function createMigrator(db: Sequelize, log: Logger): Migrator {
  const umzug = new Umzug<Sequelize>({
    migrations: () => loadMigrations(db),
    context: db,
    // Rows are written by the migration's own transaction, so a crash leaves neither or both.
    storage: { executed: () => executed(db), logMigration: async () => {}, unlogMigration: async () => {} },
    logger: undefined,
  })
  const locked = <T>(task: () => Promise<T>): Promise<T> =>
    db.transaction(async (transaction) => {
      await db.query('SELECT pg_advisory_xact_lock($1)', { bind: [LOCK], transaction })
      await db.query(
        'CREATE TABLE IF NOT EXISTS migrations (name varchar(100) PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
      )
      return task()
    })
  const run = (direction: 'up' | 'down') =>
    locked(async () => {
      const done = direction === 'up' ? await umzug.up() : await umzug.down({ to: 0 })
      const names = done.map(({ name }) => name)
      if (names.length > 0) log.info('db', `migrations ${direction}`, { names: names.join(' ') })
      return names
    })
  return {
    async pending() {
      const files = await migrationFiles()
      const [found] = await db.query<{ table: string | null }>(
        `SELECT to_regclass('migrations')::text AS table`,
        {
          type: QueryTypes.SELECT,
        },
      )
      const done = new Set(found?.table ? await executed(db) : [])
      return files.map((file) => basename(file, '.ts')).filter((name) => !done.has(name))
    },
    up: () => run('up'),
    down: () => run('down'),
  }
}

async function migrationFiles(): Promise<string[]> {
  return (await readdir(FOLDER)).filter((name) => /^\d{4}-[a-z0-9-]+\.ts$/.test(name)).toSorted()
}

async function loadMigrations(db: Sequelize) {
  const files = await migrationFiles()
  return files.map((file) => {
    const name = basename(file, '.ts')
    const step = (direction: 'up' | 'down', record: string) => async () => {
      const migration = (await import(new URL(file, FOLDER).href)) as Migration
      await db.transaction(async (transaction) => {
        await migration[direction]({ context: inTransaction(db, transaction) })
        await db.query(record, { bind: [name], transaction })
      })
    }
    return {
      name,
      up: step('up', 'INSERT INTO migrations (name) VALUES ($1)'),
      down: step('down', 'DELETE FROM migrations WHERE name = $1'),
    }
  })
}

/** The same database, with every statement in this transaction. */
function inTransaction(db: Sequelize, transaction: Transaction): Sequelize {
  const query = (sql: string, options: object = {}) => db.query(sql, { ...options, transaction })
  return Object.create(db, { query: { value: query } }) as Sequelize
}

async function executed(db: Sequelize): Promise<string[]> {
  const found = await db.query<{ name: string }>(`SELECT name FROM migrations ORDER BY name`, {
    type: QueryTypes.SELECT,
  })
  return found.map(({ name }) => name)
}
