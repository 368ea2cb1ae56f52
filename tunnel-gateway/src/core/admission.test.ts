import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createAdmission, toldDelayMs } from './admission.ts'

const fast = { burst: 1_000, count: 1_000, periodMs: 1_000 }
const rules = {
  maxTunnels: 1_000_000,
  maxUnregistered: 4_000,
  maxUnregisteredPerAddress: 512,
  perAddress: fast,
  registrations: { burst: 100, count: 50, periodMs: 1_000 },
}

test('F6: of a crowd that comes at once each is told a time of its own, and is in when it comes then', () => {
  const admission = createAdmission(rules)
  const told = Array.from({ length: 600 }, () => admission.register(0)).filter((waitMs) => waitMs > 0)
  assert.equal(told.length, 500)
  assert.deepEqual(
    told,
    told.map((_, at) => (at + 1) * 20),
  )
  for (const waitMs of told) assert.equal(admission.register(waitMs), 0)
})

test('F6: never lets more in than the rate says, and tells nobody to wait more than half a minute and a little', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 3_000 }), (gaps) => {
      const admission = createAdmission(rules)
      let now = 0
      let admitted = 0
      for (const gap of gaps) {
        now += gap
        const waitMs = admission.register(now)
        if (waitMs === 0) admitted += 1
        assert.ok(toldDelayMs(waitMs, 0.999) <= 31_000)
      }
      assert.ok(admitted <= 100 + (now * 50) / 1_000 + 1)
    }),
    { numRuns: 50 },
  )
})
