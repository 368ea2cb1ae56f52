import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { COMMAND_STATES } from '../contract.ts'
import { nextState, paramsProblem } from './command-state.ts'
import type { CommandEvent } from './command-state.ts'

const EVENTS: CommandEvent[] = ['take', 'succeed', 'fail', 'expire', 'withdraw']
const ORDER = { queued: 0, sent: 1, acknowledged: 2, failed: 2, expired: 2 }

suite('the life of a command', () => {
  test('goes forward only, and what is finished stays as it is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...COMMAND_STATES),
        fc.array(fc.constantFrom(...EVENTS)),
        (start, events) => {
          let state = start
          for (const event of events) {
            const next = nextState(state, event)
            assert.ok(next === state || ORDER[next] > ORDER[state])
            state = next
          }
        },
      ),
    )
  })

  test('a result before the command was sent means nothing', () => {
    assert.equal(nextState('queued', 'succeed'), 'queued')
    assert.equal(nextState('queued', 'fail'), 'queued')
  })

  test('a command that is on its way can’t be withdrawn', () => {
    assert.equal(nextState('sent', 'withdraw'), 'sent')
  })

  test('parameters are bounded in bytes and in depth, however hostile', () => {
    assert.equal(paramsProblem({ relay: 1, on: true }), null)
    assert.equal(paramsProblem('x'.repeat(8_190)), null)
    assert.match(paramsProblem('x'.repeat(8_191))!, /8192 bytes/)
    assert.match(paramsProblem('ж'.repeat(5_000))!, /8192 bytes/)
    let nested: fc.JsonValue = 1
    for (let level = 0; level < 16; level++) nested = [nested]
    assert.equal(paramsProblem(nested as never), null)
    for (let level = 0; level < 1_000; level++) nested = [nested]
    assert.match(paramsProblem(nested as never)!, /16 levels/)
  })
})
