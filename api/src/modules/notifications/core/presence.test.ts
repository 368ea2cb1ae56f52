import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { decide, dueAt, observe, PRESENCE_RULES, type Presence, type PresenceState } from './presence.ts'

interface Told {
  readonly at: number
  readonly status: Presence
}

/** Plays changes of status as the worker would: a decision at each moment that is due, then a long quiet time. */
function play(changes: readonly { at: number; status: Presence }[]): {
  told: Told[]
  state: PresenceState | null
} {
  const told: Told[] = []
  let state: PresenceState | null = null
  const runDue = (until: number): void => {
    for (let due = state && dueAt(state, PRESENCE_RULES); state && due !== null && due <= until;) {
      const decision = decide(state, due, PRESENCE_RULES)
      assert.ok(decision.notice, 'what is due is told')
      told.push({ at: due, status: decision.notice.status })
      state = decision.state
      due = dueAt(state, PRESENCE_RULES)
    }
  }
  for (const { at, status } of changes) {
    runDue(at)
    state = observe(state, status, at)
  }
  runDue(Number.MAX_SAFE_INTEGER)
  return { told, state }
}

const alternating = (gaps: readonly number[], first: Presence): { at: number; status: Presence }[] => {
  let at = 1_000_000
  return gaps.map((gap, index) => {
    at += gap
    const isFirst = index % 2 === 0
    return { at, status: isFirst ? first : first === 'online' ? 'offline' : 'online' }
  })
}

const gaps = fc.array(fc.integer({ min: 1, max: 180_000 }), { minLength: 1, maxLength: 60 })
const first = fc.constantFrom<Presence>('online', 'offline')

suite('presence notices', () => {
  test('tells at most two in any five minutes, whatever the controller does', () => {
    fc.assert(
      fc.property(gaps, first, (all, begin) => {
        const { told } = play(alternating(all, begin))
        for (const [index, { at }] of told.entries()) {
          const third = told[index + 2]
          assert.ok(!third || third.at - at >= PRESENCE_RULES.windowMs)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('says at most two things when a controller flaps 20 times in 5 minutes', () => {
    const flap = fc.array(fc.integer({ min: 1, max: 29_000 }), { minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(flap, first, (all, begin) => {
        const scale = Math.min(1, 299_000 / all.reduce((sum, gap) => sum + gap, 0))
        const changes = alternating(
          all.map((gap) => Math.max(1, Math.floor(gap * scale))),
          begin,
        )
        const end = 1_000_000 + PRESENCE_RULES.windowMs
        assert.ok(play(changes).told.filter(({ at }) => at <= end).length <= 2)
      }),
      { numRuns: 1_000 },
    )
  })

  test('ends with people believing what is true', () => {
    fc.assert(
      fc.property(gaps, first, (all, begin) => {
        const changes = alternating(all, begin)
        assert.equal(play(changes).state?.told, changes.at(-1)?.status)
      }),
    )
  })

  test('tells offline and online in turns, beginning with offline', () => {
    fc.assert(
      fc.property(gaps, first, (all, begin) => {
        const { told } = play(alternating(all, begin))
        assert.deepEqual(
          told.map(({ status }) => status),
          told.map((_, index) => (index % 2 === 0 ? 'offline' : 'online')),
        )
      }),
    )
  })

  test('does not tell an absence that was shorter than a minute', () => {
    assert.deepEqual(
      play([
        { at: 1_000, status: 'offline' },
        { at: 60_999, status: 'online' },
      ]).told,
      [],
    )
  })

  test('tells an absence after a minute, and the return', () => {
    const { told } = play([
      { at: 1_000, status: 'offline' },
      { at: 100_000, status: 'online' },
    ])
    assert.deepEqual(told, [
      { at: 61_000, status: 'offline' },
      { at: 105_000, status: 'online' },
    ])
  })

  test('ignores words that are repeated or older than what it knows', () => {
    const state = observe(observe(null, 'online', 1_000), 'offline', 2_000)
    assert.equal(observe(state, 'online', 1_500), state)
    assert.equal(observe(state, 'offline', 3_000), state)
  })
})
