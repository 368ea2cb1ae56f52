/** Names, retention and keys, without any place. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { backupName, BackupName, backupTime, changedKeys } from './manifest.ts'
import { outdated } from './retention.ts'

const DAY_MS = 86_400_000
const NOW = new Date('2026-11-21T12:00:00Z')
const seconds = fc.integer({ min: 0, max: 400 * 86_400 })
const names = fc
  .uniqueArray(seconds, { maxLength: 60 })
  .map((ages) => ages.map((age) => backupName(new Date(NOW.getTime() - age * 1_000))))

suite('backups', () => {
  test('a name tells the second it was taken, and sorts by it', () => {
    assert.equal(backupName(new Date('2026-11-21T03:17:00.999Z')), 'wmoc-20261121T031700Z')
    fc.assert(
      fc.property(seconds, seconds, (a, b) => {
        const [first, second] = [a, b].map((age) => new Date(NOW.getTime() - age * 1_000))
        assert.deepEqual(backupTime(backupName(first!)), first)
        assert.equal(BackupName.safeParse(backupName(first!)).success, true)
        assert.equal(backupName(first!) < backupName(second!), first! < second!)
      }),
    )
  })

  test('keeps the newest whatever their age and the young however many, and nothing else', () => {
    const rule = fc.record({ keep: fc.integer({ min: 1, max: 30 }), days: fc.integer({ min: 0, max: 400 }) })
    fc.assert(
      fc.property(names, rule, (all, { keep, days }) => {
        const gone = outdated(all, { keep, keepMs: days * DAY_MS }, NOW)
        const byAge = all.toSorted().toReversed()
        for (const [rank, name] of byAge.entries()) {
          const isYoung = NOW.getTime() - backupTime(name).getTime() <= days * DAY_MS
          assert.equal(gone.includes(name), rank >= keep && !isYoung, name)
        }
        assert.deepEqual(gone, gone.toSorted(), 'oldest first')
      }),
    )
  })

  test('tells which secrets are others than then', () => {
    const keys = { SECRETS_KEY: 'a', DEVICE_CREDENTIAL_KEY: 'b', PASSWORD_PEPPER: 'c' }
    assert.deepEqual(changedKeys(keys, keys), [])
    assert.deepEqual(changedKeys(keys, { ...keys, SECRETS_KEY: 'x', PASSWORD_PEPPER: 'x' }), [
      'SECRETS_KEY',
      'PASSWORD_PEPPER',
    ])
  })
})
