import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createRecentCalls } from './recent-calls.ts'

suite('recent calls', () => {
  test('are told by when they ended, the newest first, and forgotten after a minute', () => {
    let now = 1_000_000
    const recent = createRecentCalls(() => now)
    const read = () => {
      const { calls, failed } = recent.read()
      return [calls.slice(0, 3), failed.slice(0, 3)]
    }
    recent.ended(true)
    recent.ended(false)
    assert.deepEqual(read(), [
      [2, 0, 0],
      [1, 0, 0],
    ])
    now += 10_000
    recent.ended(true)
    assert.deepEqual(read(), [
      [1, 0, 2],
      [0, 0, 1],
    ])
    now += 55_000
    assert.deepEqual(recent.read().calls, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    now += 3_600_000
    assert.ok(recent.read().calls.every((count) => count === 0))
    assert.equal(recent.read().calls.length, 12)
  })
})
