import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createQueueCore } from './queue-core.ts'

const TIMING = { backOffMs: 100, maxBackOffMs: 1_000, quietMs: 10 }

type Step =
  | { readonly type: 'add' | 'hurry' | 'addAfter'; readonly key: string; readonly ms: number }
  | { readonly type: 'take' }
  | { readonly type: 'done'; readonly pick: number; readonly hasFailed: boolean }
  | { readonly type: 'wait'; readonly ms: number }

const key = fc.constantFrom('a', 'b', 'c', 'd')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constantFrom('add', 'hurry', 'addAfter'), key, ms: fc.nat(300) }),
  fc.constant({ type: 'take' } as const),
  fc.record({ type: fc.constant('done'), pick: fc.nat(3), hasFailed: fc.boolean() }),
  fc.record({ type: fc.constant('wait'), ms: fc.nat(400) }),
)

/** Runs steps, asserting after each; then works everything off and answers which keys were asked for and not given. */
function run(steps: readonly Step[], check: (inFlight: ReadonlySet<string>, given: string | null) => void) {
  const queue = createQueueCore(TIMING, () => 0.5)
  const inFlight = new Set<string>()
  const owed = new Set<string>()
  let now = 0
  const take = () => {
    const given = queue.poll(now)
    check(inFlight, given)
    if (given === null) return null
    inFlight.add(given)
    owed.delete(given)
    return given
  }
  for (const next of steps) {
    if (next.type === 'wait') now += next.ms
    else if (next.type === 'take') take()
    else if (next.type === 'done') {
      const chosen = [...inFlight][next.pick % Math.max(1, inFlight.size)]
      if (chosen === undefined) continue
      inFlight.delete(chosen)
      queue.done(chosen, now, next.hasFailed)
      if (next.hasFailed) owed.add(chosen)
    } else {
      owed.add(next.key)
      if (next.type === 'add') queue.add(next.key, now)
      else if (next.type === 'hurry') queue.hurry(next.key, now)
      else queue.addAfter(next.key, next.ms, now)
    }
  }
  for (const rest of inFlight) queue.done(rest, now, false)
  inFlight.clear()
  for (let turns = 0; turns < 1_000 && queue.nextAt() !== null; turns += 1) {
    now = Math.max(now, queue.nextAt()!)
    const given = take()
    assert.notEqual(given, null, 'nextAt promised a key')
    inFlight.delete(given!)
    queue.done(given!, now, false)
  }
  return { owed, next: queue.nextAt() }
}

test('a key is never in flight twice', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      run(steps, (inFlight, given) => assert.ok(given === null || !inFlight.has(given), `${given} twice`))
    }),
    { numRuns: 2_000 },
  )
})

test('every key that was asked for, and every one that failed, gets a turn after that', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { owed, next } = run(steps, () => {})
      assert.deepEqual([...owed], [])
      assert.equal(next, null)
    }),
    { numRuns: 2_000 },
  )
})

test('a key that always fails gets fewer and fewer turns, however often it is added', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }), (gaps) => {
      const queue = createQueueCore(TIMING, () => 0)
      let turns = 0
      for (let now = 0; now < 10_000; now += 1 + gaps[now % gaps.length]!) {
        queue.add('a', now)
        if (queue.poll(now) === null) continue
        turns += 1
        queue.done('a', now, true)
      }
      // 50, 100, 200, 400, then 500 ms apart at the least.
      assert.ok(turns <= 5 + 20, `${turns} turns in 10 s`)
      assert.ok(turns >= 10, `${turns} turns in 10 s`)
    }),
  )
})

test('a change of what a key stands for needs not wait for its back-off', () => {
  const queue = createQueueCore(TIMING, () => 1)
  queue.add('a', 0)
  assert.equal(queue.poll(0), 'a')
  queue.done('a', 0, true)
  queue.add('a', 1)
  assert.equal(queue.poll(1), null)
  queue.hurry('a', 2)
  assert.equal(queue.poll(2), 'a')
  queue.hurry('a', 3)
  queue.done('a', 3, true)
  assert.equal(queue.poll(3), 'a', 'it changed while it was worked on')
})

test('who came first is served first, and one key that comes all the time does not keep others waiting', () => {
  const queue = createQueueCore(TIMING, () => 0.5)
  for (const name of ['noisy', 'b', 'c']) queue.add(name, 0)
  const served: string[] = []
  for (let now = 0; now < 60; now += 10) {
    const given = queue.poll(now)
    if (given === null) continue
    served.push(given)
    queue.add('noisy', now)
    queue.done(given, now, false)
  }
  assert.deepEqual(served.slice(0, 3), ['noisy', 'b', 'c'])
})
