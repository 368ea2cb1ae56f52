import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultStep, digest, numericPoints, RANGES, rangeMs, stepsFor, withLive } from './metric-ranges.ts'

test('every range has steps, its usual one among them, none with more than 5,000 points', () => {
  for (const range of RANGES) {
    const steps = stepsFor(range)
    assert.ok(steps.includes(defaultStep(range)), range)
  }
  assert.ok(!stepsFor('30d').includes('1m'))
  assert.ok(!stepsFor('24h').includes('raw'))
  assert.ok(!stepsFor('15m').includes('1h'))
})

test('only numbers and yes or no become points', () => {
  const given = [
    { t: 1, v: 1.5 },
    { t: 2, v: true },
    { t: 3, v: '4' },
    { t: 4, v: null },
    { t: 5, v: { a: 1 } },
    { t: 6, v: Number.NaN },
  ]
  assert.deepEqual(numericPoints(given), [
    { t: 1, v: 1.5 },
    { t: 2, v: 1 },
  ])
})

test('live values go after the stored ones, in order, and old ones leave', () => {
  const stored = [
    { t: 10, v: 1 },
    { t: 20, v: 2 },
  ]
  const live = [
    { t: 40, v: 4 },
    { t: 20, v: 9 },
    { t: 30, v: 3 },
  ]
  assert.deepEqual(
    withLive(stored, live, 15).map(({ t }) => t),
    [20, 30, 40],
  )
})

test('a chart says in words what it shows', () => {
  assert.equal(digest([]), null)
  assert.deepEqual(
    digest([
      { t: 1, v: 2 },
      { t: 2, v: -4 },
      { t: 3, v: 5 },
    ]),
    { last: 5, min: -4, max: 5, mean: 1 },
  )
})

test('a month is the longest range', () => {
  assert.equal(Math.max(...RANGES.map(rangeMs)), 30 * 86_400_000)
})
