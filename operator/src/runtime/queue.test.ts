import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from './clock.ts'
import { createQueue } from './queue.ts'

/** A clock that moves only when it is told to. */
function createManualClock(): Clock & { advance(ms: number): void } {
  let now = 0
  let next = 0
  const waiting = new Map<number, { at: number; callback: () => void }>()
  return {
    now: () => now,
    after(ms, callback) {
      const id = next++
      waiting.set(id, { at: now + ms, callback })
      return () => void waiting.delete(id)
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const due = [...waiting].filter(([, { at }]) => at <= end).toSorted(([, a], [, b]) => a.at - b.at)[0]
        if (due === undefined) break
        waiting.delete(due[0])
        now = Math.max(now, due[1].at)
        due[1].callback()
      }
      now = end
    },
  }
}

const TIMING = { backOffMs: 1_000, maxBackOffMs: 8_000, quietMs: 100 }

function queueWithClock() {
  const clock = createManualClock()
  return { clock, queue: createQueue({ timing: TIMING, clock, random: () => 0 }) }
}

test('a worker that waits gets the key when its time has come', async () => {
  const { clock, queue } = queueWithClock()
  const taken: (string | null)[] = []
  void queue.take().then((key) => taken.push(key))
  queue.addAfter('a', 500)
  clock.advance(499)
  await Promise.resolve()
  assert.deepEqual(taken, [])
  clock.advance(1)
  await Promise.resolve()
  assert.deepEqual(taken, ['a'])
})

test('one that failed comes back by itself after its back-off', async () => {
  const { clock, queue } = queueWithClock()
  queue.add('a')
  assert.equal(await queue.take(), 'a')
  queue.done('a', true)
  assert.equal(queue.failures('a'), 1)
  assert.equal(queue.depth(), 0)
  const again = queue.take()
  clock.advance(500)
  assert.equal(await again, 'a')
})

test('a queue that is shut gives nothing out, and waits for what is in flight', async () => {
  const { queue } = queueWithClock()
  queue.add('a')
  assert.equal(await queue.take(), 'a')
  const waiting = queue.take()
  let isIdle = false
  const shut = queue.shut().then(() => (isIdle = true))
  assert.equal(await waiting, null)
  queue.add('b')
  assert.equal(await queue.take(), null)
  assert.equal(isIdle, false)
  queue.done('a', false)
  await shut
  assert.equal(isIdle, true)
})
