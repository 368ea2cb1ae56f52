import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createDurations } from './durations.ts'

suite('durations', () => {
  test('answer percentiles within a tenth', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (values, share) => {
          const durations = createDurations()
          for (const value of values) durations.record(value)
          const exact = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? 0
          const told = durations.percentileMs(share)
          assert.ok(told >= exact * 0.999 && told <= exact * 1.101, `${told} for ${exact}`)
        },
      ),
    )
  })

  test('are 0 when there are none', () => {
    const durations = createDurations()
    assert.deepEqual([durations.count, durations.maxMs, durations.percentileMs(0.99)], [0, 0, 0])
  })
})
