import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTokenBucket } from './token-bucket.ts'

test('in any stretch of time no more pass than the burst and the rate allow, and nobody waits longer than that takes', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { minLength: 1, maxLength: 60 }), (gaps) => {
      let now = 0
      const passed: number[] = []
      const clock = {
        now: () => now,
        after(ms: number) {
          passed.push(now + ms)
          return () => {}
        },
      }
      const bucket = createTokenBucket(10, 5, clock)
      for (const gap of gaps) {
        now += gap
        const before = passed.length
        void bucket.take()
        if (passed.length === before) passed.push(now)
      }
      for (const [first, from] of passed.entries()) {
        for (const [more, to] of passed.slice(first).entries()) {
          assert.ok(more + 1 <= 5 + (to - from) / 100 + 1, `${more + 1} in ${to - from} ms`)
        }
      }
      assert.ok(passed.at(-1)! <= now + gaps.length * 100)
    }),
  )
})

test('who gives up does not wait', async () => {
  const bucket = createTokenBucket(1, 1)
  await bucket.take()
  const ending = new AbortController()
  const waiting = bucket.take(ending.signal)
  ending.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  await assert.rejects(bucket.take(ending.signal), /enough/)
})
