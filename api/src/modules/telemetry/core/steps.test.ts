import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { comfortableStep, finestStep, MAX_POINTS, rollupTable, stepFits, stepWidthMs } from './steps.ts'

const HOUR = 3_600_000

suite('steps of a series', () => {
  test('are read from the minutes below an hour and from the hours above', () => {
    assert.equal(rollupTable('15m'), 'metrics_1m')
    assert.equal(rollupTable('1h'), 'metrics_1h')
    assert.equal(rollupTable('1d'), 'metrics_1h')
  })

  test('are finer for a shorter range', () => {
    assert.equal(comfortableStep(HOUR), '1m')
    assert.equal(comfortableStep(24 * HOUR), '5m')
    assert.equal(comfortableStep(7 * 24 * HOUR), '1h')
    assert.equal(comfortableStep(90 * 24 * HOUR), '6h')
    assert.equal(comfortableStep(365 * 24 * HOUR), '1d')
  })

  test('never give more points than an answer may hold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4_000 * 24 * HOUR }), (range) => {
        const step = finestStep(range)
        assert.ok(step)
        assert.ok(stepFits(step, range))
        assert.ok(Math.ceil(range / stepWidthMs(step)) <= MAX_POINTS)
      }),
    )
  })

  test('end where a day is too fine', () => {
    assert.equal(finestStep(6_000 * 24 * HOUR), null)
    assert.equal(stepFits('1d', 6_000 * 24 * HOUR), false)
  })
})
