import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { planDrain } from './drain-schedule.ts'

test('F7: everybody is told within the window, those without a gap first, at an even rate', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 3_000 }),
      fc.integer({ min: 100, max: 60_000 }),
      (tunnels, windowMs) => {
        const plan = planDrain(
          tunnels,
          (hasOverlap) => hasOverlap,
          windowMs,
          () => 0.999,
        )
        assert.equal(plan.length, tunnels.length)
        const bySecond = new Map<number, number>()
        for (const [at, { tunnel, afterMs, reconnectAfterMs }] of plan.entries()) {
          assert.ok(afterMs <= windowMs && afterMs >= (plan[at - 1]?.afterMs ?? 0))
          assert.ok(reconnectAfterMs < 250 && (tunnel || reconnectAfterMs === 0))
          assert.ok(!tunnel || at === 0 || plan[at - 1]!.tunnel)
          const second = Math.floor(afterMs / 1_000)
          bySecond.set(second, (bySecond.get(second) ?? 0) + 1)
        }
        const evenRate = (tunnels.length * 1_000) / windowMs
        for (const count of bySecond.values()) assert.ok(count <= Math.max(501, evenRate + 2), `${count}`)
      },
    ),
    { numRuns: 200 },
  )
})
