import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { testDatabase } from '@wmoc/testkit/postgres'
import type { Model, ModelStatic, Sequelize } from 'sequelize'
import { defineCommandModel } from '#src/modules/commands/model.ts'
import { defineControllerModels } from '#src/modules/controllers/model.ts'
import { defineNotificationModels } from '#src/modules/notifications/model.ts'
import { quietLog } from '#src/testing/plain-rows.ts'
import { createDatabase } from './db.ts'
import { createMigrator } from './migrations.ts'
import { rows } from './rows.ts'

async function withOwner(task: (db: Sequelize, url: string) => Promise<void>): Promise<void> {
  const { url, drop } = await testDatabase()
  const db = createDatabase({ url, poolMax: 3, log: quietLog, statementTimeoutMs: 0 })
  try {
    await task(db, url)
  } finally {
    await db.close()
    await drop()
  }
}

/** Every column, index, constraint, trigger and function of ours. */
async function shape(db: Sequelize): Promise<string[]> {
  const found = await rows<{ line: string }>(
    db,
    `SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length, is_nullable, column_default) AS line
       FROM information_schema.columns WHERE table_schema = 'public'
     UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
     UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace
     UNION ALL SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal
     UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
     ORDER BY 1`,
    {},
  )
  return found.map(({ line }) => line).filter((line) => !line.startsWith('migrations '))
}

suite('migrations', () => {
  test('go up, all the way down, and up again to the same schema', () =>
    withOwner(async (db) => {
      const migrator = createMigrator(db, quietLog)
      const applied = await migrator.up()
      assert.ok(applied.length >= 10)
      const first = await shape(db)
      assert.deepEqual((await migrator.down()).toSorted(), applied.toSorted())
      assert.deepEqual(
        (await shape(db)).filter((line) => !line.includes('migrations')),
        [],
      )
      assert.deepEqual(await migrator.up(), applied)
      assert.deepEqual(await shape(db), first)
      assert.deepEqual(await migrator.up(), [])
    }))

  test('tell what is missing, also where there is nothing at all', () =>
    withOwner(async (db) => {
      const migrator = createMigrator(db, quietLog)
      const missing = await migrator.pending()
      assert.deepEqual(await migrator.up(), missing)
      assert.deepEqual(await migrator.pending(), [])
      await db.query('DELETE FROM migrations WHERE name = $1', { bind: [missing.at(-1)] })
      assert.deepEqual(await migrator.pending(), [missing.at(-1)])
    }))

  test('started by several processes at once are applied once', () =>
    withOwner(async (_db, url) => {
      const pools = [1, 2, 3].map(() =>
        createDatabase({ url, poolMax: 3, log: quietLog, statementTimeoutMs: 0 }),
      )
      const applied = await Promise.all(pools.map((pool) => createMigrator(pool, quietLog).up()))
      assert.equal(applied.filter((names) => names.length > 0).length, 1)
      await Promise.all(pools.map((pool) => pool.close()))
    }))

  test('make the tables that the models describe: each column, its type and whether it may be null', () =>
    withOwner(async (db) => {
      await createMigrator(db, quietLog).up()
      const models: readonly ModelStatic<Model>[] = [
        ...Object.values(defineControllerModels(db)),
        defineCommandModel(db),
        ...Object.values(defineNotificationModels(db)),
      ]
      for (const model of models) {
        const table = model.tableName
        const columns = await db.getQueryInterface().describeTable(table)
        const attributes = Object.values(model.getAttributes())
        assert.deepEqual(
          attributes.map(({ field }) => String(field)).toSorted(),
          Object.keys(columns).toSorted(),
          table,
        )
        for (const { field, allowNull, primaryKey, type } of attributes) {
          const column = columns[field ?? '']
          const name = `${table}.${field}`
          assert.equal(column?.allowNull, primaryKey === true ? false : allowNull !== false, `${name} null`)
          assert.equal(column?.type, sqlName(String(type)), `${name} type`)
        }
      }
    }))
})

/** Sequelize's name of a type as `describeTable` spells it. */
function sqlName(type: string): string {
  const text = type.toUpperCase()
  if (text.endsWith('[]')) return 'ARRAY'
  return text.replace(/^VARCHAR/, 'CHARACTER VARYING')
}
