import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { openMigratedDatabase } from '#src/testing/plain-rows.ts'
import type { PlainDatabase } from '#src/testing/plain-rows.ts'
import { createAuditLog, verifyAuditLog } from './audit.ts'
import { rows } from './rows.ts'

suite('the audit log', () => {
  let database: PlainDatabase
  before(async () => {
    database = await openMigratedDatabase()
    const audit = createAuditLog(database.db, () => new Date())
    const entries = Array.from({ length: 30 }, (_, n) =>
      database.db.transaction((transaction) =>
        audit.record(
          {
            workspaceId: null,
            actorId: null,
            action: 'test.did',
            target: `thing ${n}`,
            before: { z: n, a: undefined, nested: { b: [1, 'я'], a: null } },
            after: n % 2 === 0 ? undefined : 'text',
          },
          transaction,
        ),
      ),
    )
    await Promise.all(entries)
  })
  after(() => database.close())

  test('is one chain whoever writes at the same time', async () => {
    assert.deepEqual(await verifyAuditLog(database.db), { rows: 30, brokenAt: null })
  })

  test('lets nobody change, delete or empty rows', async () => {
    for (const statement of [
      "UPDATE audit_log SET action = 'x'",
      'DELETE FROM audit_log',
      'TRUNCATE audit_log',
    ]) {
      await assert.rejects(database.db.query(statement), /neither changed nor deleted/)
    }
  })

  const tamperings = {
    'a changed word': `UPDATE audit_log SET target = 'other' WHERE seq = 11`,
    'a changed detail': `UPDATE audit_log SET before = jsonb_set(before, '{nested,b,0}', '2') WHERE seq = 11`,
    'a row taken out': 'DELETE FROM audit_log WHERE seq = 11',
    'two rows exchanged':
      'UPDATE audit_log SET seq = CASE seq WHEN 11 THEN 1012 ELSE 1011 END WHERE seq IN (11, 12)',
  }
  for (const [name, statement] of Object.entries(tamperings)) {
    test(`shows ${name}, even by somebody who could switch the trigger off`, async () => {
      const { db } = database
      await assert.rejects(
        db.transaction(async (transaction) => {
          await db.query('ALTER TABLE audit_log DISABLE TRIGGER ALL', { transaction })
          await rows(db, statement, {}, transaction)
          if (statement.includes('CASE'))
            await rows(db, 'UPDATE audit_log SET seq = seq - 1000 WHERE seq > 1000', {}, transaction)
          const inside = Object.create(db, {
            query: { value: (sql: string, options: object) => db.query(sql, { ...options, transaction }) },
          }) as typeof db
          const { brokenAt } = await verifyAuditLog(inside)
          assert.ok(brokenAt !== null && Number(brokenAt) <= 12, `found at ${brokenAt}`)
          throw new Error('undo')
        }),
        /undo/,
      )
    })
  }
})
