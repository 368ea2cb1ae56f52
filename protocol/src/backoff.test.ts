import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fullJitterMs } from './backoff.ts'

test('waits between nothing and the doubled base, never above the cap', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(fc.nat(10_000), random, (attempt, value) => {
      const waitMs = fullJitterMs({ attempt, baseMs: 1_000, capMs: 60_000, random: value })
      assert.ok(Number.isInteger(waitMs))
      assert.ok(waitMs >= 0 && waitMs < Math.min(60_000, 1_000 * 2 ** attempt))
    }),
  )
})

test('doubles with each try', () => {
  const waits = [0, 1, 2, 3].map((attempt) => fullJitterMs({ attempt, baseMs: 100, capMs: 500, random: 0.5 }))
  assert.deepEqual(waits, [50, 100, 200, 250])
})
