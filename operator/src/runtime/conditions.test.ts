import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { setCondition, timestamp } from './conditions.ts'
import type { Condition } from './conditions.ts'

const change = fc.record({
  type: fc.constantFrom('Available', 'Progressing', 'Draining'),
  status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const),
  reason: fc.constantFrom('One', 'Two'),
  message: fc.string(),
})

test('each type is there once, and its transition time is when its status last became another', () => {
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      let conditions: readonly Condition[] = []
      const since = new Map<string, { status: string; at: string }>()
      for (const [at, next] of changes.entries()) {
        const now = timestamp(at * 1_000)
        conditions = setCondition(conditions, next, now, at)
        if (since.get(next.type)?.status !== next.status)
          since.set(next.type, { status: next.status, at: now })
      }
      assert.deepEqual(
        conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
        [...since].map(([type, { at }]) => [type, at]).toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
      )
    }),
  )
})
