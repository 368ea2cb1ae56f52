import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createGate } from './gate.ts'

suite('the gate of a fleet', () => {
  test('lets everybody pass at once when it has no rate', () => {
    let passed = 0
    createGate(0).pass(() => (passed += 1))
    assert.equal(passed, 1)
  })

  test('keeps the rate and the order', (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    let now = 0
    const passed: number[] = []
    const gate = createGate(100, () => now)
    for (let number = 0; number < 200; number += 1) gate.pass(() => passed.push(number))
    for (; now < 1_000; now += 20) context.mock.timers.tick(20)
    // Half a second was saved up, then a hundred per second.
    assert.ok(passed.length >= 145 && passed.length <= 151, String(passed.length))
    assert.deepEqual(
      passed,
      passed.map((_, at) => at),
    )
    gate.stop()
  })

  test('forgets who waits when it stops', (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    let passed = 0
    const gate = createGate(1, () => 0)
    for (let number = 0; number < 5; number += 1) gate.pass(() => (passed += 1))
    context.mock.timers.tick(0)
    gate.stop()
    context.mock.timers.tick(10_000)
    assert.equal(passed, 1)
  })
})
