import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { AppError } from '@wmoc/platform/errors'
import type { Upstream } from '#src/core/upstream.ts'
import { until } from '#src/testing/harness.ts'
import { createWaiting } from './waiting.ts'
import type { Verdict, WaitingLimits } from './waiting.ts'

const tunnel = (epoch: number) => ({ controllerId: 'a', epoch }) as Upstream

/** What is known of controllers, and how often it was asked for. */
function world(limits: Partial<WaitingLimits> = {}) {
  const known = new Map<string, Verdict | Error>()
  const state = { asked: 0, again: 0, parked: [] as boolean[] }
  const verdictOf = (controllerId: string) => {
    const verdict = known.get(controllerId) ?? 'absent'
    if (verdict instanceof Error) throw verdict
    return verdict
  }
  const waiting = createWaiting({
    async find(controllerId) {
      state.asked += 1
      await new Promise((resolve) => setImmediate(resolve))
      return verdictOf(controllerId)
    },
    async again(controllerId) {
      state.again += 1
      await new Promise((resolve) => setImmediate(resolve))
      return verdictOf(controllerId)
    },
    parked: (isInVain) => state.parked.push(isInVain),
    limits,
  })
  return { known, state, waiting }
}

const codeOf = (error: unknown) => (error instanceof AppError ? error.code : String(error))

suite('requests that wait to be told where to go', () => {
  test('all of one controller share one look-up, and the next one is not made at once', async () => {
    const { state, waiting } = world()
    const first = await Promise.all(Array.from({ length: 1_000 }, () => waiting.join('a')))
    assert.deepEqual(new Set(first), new Set([undefined]))
    assert.equal(state.asked, 1)
    const startedAt = performance.now()
    for (let round = 0; round < 4; round++) await waiting.join('a')
    assert.equal(state.asked, 5)
    assert.ok(performance.now() - startedAt >= 4 * 45)
    assert.deepEqual(waiting.invariants(), [])
  })

  test('F12: those of a controller that moves go on once it is found', async () => {
    const { known, state, waiting } = world()
    known.set('a', 'moving')
    const joined = [waiting.join('a'), waiting.join('a')]
    await until(() => state.again >= 3)
    assert.equal(waiting.parked, 2)
    // The store being away for a moment changes nothing.
    known.set('a', new Error('away'))
    await until(() => state.again >= 6)
    known.set('a', tunnel(2))
    assert.deepEqual(
      (await Promise.all(joined)).map((found) => found?.epoch),
      [2, 2],
    )
    assert.deepEqual([waiting.size, waiting.parked, state.parked], [0, 0, [false]])
    assert.deepEqual(waiting.invariants(), [])
  })

  test('F12: a moment of contradiction does not end a wait that was longer already', async () => {
    const { known, state, waiting } = world()
    known.set('a', 'moving')
    const joined = waiting.join('a')
    const startedAt = performance.now()
    await until(() => performance.now() - startedAt > 700)
    // The old tunnel is gone from its shard, and the store does not know yet.
    known.set('a', 'unsettled')
    const asked = state.again
    await until(() => state.again >= asked + 3)
    known.set('a', tunnel(2))
    assert.equal((await joined)?.epoch, 2)
    assert.deepEqual(waiting.invariants(), [])
  })

  test('a registration on this shard ends the wait at once', async () => {
    const { known, waiting } = world()
    known.set('a', 'moving')
    const joined = waiting.join('a')
    await until(() => waiting.parked === 1)
    waiting.settle('a', tunnel(3))
    assert.equal((await joined)?.epoch, 3)
    assert.deepEqual(waiting.invariants(), [])
  })

  test('F12: nobody waits longer than the limit', async () => {
    const { known, state, waiting } = world({ parkMs: 200 })
    known.set('a', 'moving')
    known.set('b', 'unsettled')
    assert.deepEqual(await Promise.all([waiting.join('a'), waiting.join('b')]), [undefined, undefined])
    assert.deepEqual(state.parked, [true, true])
    assert.deepEqual(waiting.invariants(), [])
  })

  test('more than the shard, or one controller, may have waiting are refused at once', async () => {
    const { known, waiting } = world({ maxPerController: 3, maxWaiting: 10 })
    known.set('a', 'moving')
    const before = Array.from({ length: 5 }, () => waiting.join('a').catch(codeOf))
    await until(() => waiting.parked === 3)
    const late = waiting.join('a').catch(codeOf)
    assert.equal(await late, 'overloaded')
    const others = Array.from({ length: 9 }, (_, at) => {
      known.set(`b${at}`, 'moving')
      return waiting.join(`b${at}`).catch(codeOf)
    })
    assert.deepEqual(await Promise.all(others.slice(7)), ['overloaded', 'overloaded'])
    assert.equal(waiting.size, 10)
    assert.deepEqual(waiting.invariants(), [])
    for (const id of known.keys()) known.set(id, tunnel(1))
    const outcomes = await Promise.all(before)
    assert.deepEqual(outcomes.slice(3), ['overloaded', 'overloaded'])
    assert.equal(typeof outcomes[0], 'object')
    await Promise.all(others)
    assert.deepEqual([waiting.size, waiting.invariants()], [0, []])
  })

  test('F2: what can not be decided is said so', async () => {
    const { known, waiting } = world()
    known.set('a', new AppError('dependency_unavailable'))
    assert.equal(await waiting.join('a').catch(codeOf), 'dependency_unavailable')
    assert.deepEqual(waiting.invariants(), [])
  })
})
