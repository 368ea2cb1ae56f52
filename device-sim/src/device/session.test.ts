import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { DeviceFeature, Registered } from '@wmoc/protocol/messages'
import {
  newSession,
  stepSession,
  type ControlMessage,
  type CredentialSlots,
  type SessionEffect,
  type SessionEvent,
} from './session.ts'

const OLD = { controller_id: '0198f6a0-7b1c-7d3e-9a44-2f5d8c1b6e70', secret: 'the-old-secret-0123456789' }
const NEW = { ...OLD, secret: 'the-new-secret-0123456789' }
const EMPTY: CredentialSlots = { current: null, next: null }
const description = { mac: '02:00:00:00:00:01', firmware_version: '1.0.0' }

function registered(credentials?: Registered['credentials']): ControlMessage {
  return {
    type: 'registered',
    controllerId: OLD.controller_id,
    status: 'active',
    credentials,
    epoch: 1,
    heartbeatSec: 25,
    serverTimeMs: 0,
    limits: { maxMessageBytes: 1, maxStreams: 1, maxRequestBody: 1, maxResponseBody: 1, maxItemsPerBatch: 1 },
  }
}

function drive(slots: CredentialSlots, token: string | null, events: SessionEvent[], random = 0.5) {
  let state = newSession(slots, token)
  let effects: SessionEffect[] = []
  for (const event of events) ({ state, effects } = stepSession(state, event, { description, random }))
  return { state, effects }
}

const message = (value: ControlMessage): SessionEvent => ({ type: 'message', message: value })
const opened: SessionEvent = { type: 'opened' }
const closed = (code: number): SessionEvent => ({ type: 'closed', code })

suite('registration', () => {
  test('offers the token with a description and no secret', () => {
    const { effects } = drive(EMPTY, 'tok', [opened])
    assert.deepEqual(effects, [
      { type: 'send', message: { type: 'register', token: 'tok', credentials: description } },
    ])
  })

  test('offers stored credentials and forgets the token', () => {
    const { effects } = drive({ current: OLD, next: null }, 'tok', [opened])
    assert.deepEqual(effects, [
      { type: 'send', message: { type: 'register', credentials: { ...description, ...OLD } } },
    ])
  })

  test('asks to be claimed when it has nothing, and waits', () => {
    const asked = message({
      type: 'activation_required',
      userCode: 'BCDF-GHJK',
      verificationUri: 'u',
      verificationUriComplete: 'c',
      expiresIn: 900,
    })
    assert.equal(drive(EMPTY, null, [opened, asked]).state.phase, 'waiting_for_claim')
  })

  test('saves what it is issued before it tells anybody', () => {
    const { effects, state } = drive(EMPTY, null, [opened, message(registered(OLD))])
    assert.deepEqual(
      effects.map(({ type }) => type),
      ['save', 'registered'],
    )
    assert.deepEqual([state.current, state.next, state.token], [OLD, null, null])
  })
})

suite('D11: rotation', () => {
  test('keeps the old secret beside the new until the new was accepted', () => {
    const { state } = drive({ current: OLD, next: null }, null, [opened, message(registered(NEW))])
    assert.deepEqual([state.current, state.next], [OLD, NEW])
  })

  test('offers the new one first and drops the old when it is accepted', () => {
    const { state, effects } = drive({ current: OLD, next: NEW }, null, [opened, message(registered())])
    assert.deepEqual([state.current, state.next], [NEW, null])
    assert.equal(effects[0]?.type, 'save')
  })

  test('goes back to the old one at once when the new is refused', () => {
    const { effects } = drive({ current: OLD, next: NEW }, null, [opened, closed(4401)])
    assert.deepEqual(effects, [{ type: 'connect_after', afterMs: 0 }])
    const again = drive({ current: OLD, next: NEW }, null, [opened, closed(4401), { type: 'due' }, opened])
    assert.deepEqual(again.effects, [
      { type: 'send', message: { type: 'register', credentials: { ...description, ...OLD } } },
    ])
  })

  test('leaves one accepted credential whatever the moment of a power cut', () => {
    const step = fc.constantFrom('rotate', 'cut-before-arrival', 'cut-after-arrival', 'reconnect')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        // The server's two slots, and the device's disk.
        const server = { current: OLD.secret, next: null as string | null, isPending: false, issued: 0 }
        let disk: CredentialSlots = { current: OLD, next: null }
        for (const what of [...steps, 'reconnect'] as const) {
          if (what === 'rotate') server.isPending = true
          let state = newSession(disk, null)
          let isAccepted = false
          for (let tries = 0; tries < 3 && !isAccepted; tries += 1) {
            const first = stepSession(state, opened, { description, random: 0 })
            state = first.state
            const [sent] = first.effects
            assert.ok(sent?.type === 'send' && sent.message.type === 'register')
            const secret = sent.message.credentials?.secret
            if (secret === server.next) Object.assign(server, { current: secret, next: null })
            isAccepted = secret === server.current
            if (!isAccepted) state = stepSession(state, closed(4401), { description, random: 0 }).state
          }
          assert.ok(isAccepted, 'locked out')
          let issued
          if (server.isPending) {
            server.issued += 1
            server.next = `secret-number-${server.issued}-0123456789`
            server.isPending = false
            issued = { controller_id: OLD.controller_id, secret: server.next }
          }
          if (what === 'cut-before-arrival') continue
          const { effects } = stepSession(state, message(registered(issued)), { description, random: 0 })
          for (const effect of effects) if (effect.type === 'save') disk = effect.slots
        }
      }),
      { numRuns: 500 },
    )
  })
})

suite('coming back', () => {
  const afterMs = (code: number, before: SessionEvent[] = [], random = 0.999) => {
    const [effect] = drive(
      { current: OLD, next: null },
      null,
      [opened, ...before, closed(code)],
      random,
    ).effects
    return effect?.type === 'connect_after' ? effect.afterMs : null
  }

  test('waits up to a second after the first loss, spread by chance', () => {
    assert.equal(afterMs(1006), 999)
    assert.equal(afterMs(1006, [], 0), 0)
  })

  test('waits longer with each failure and no longer than a minute', () => {
    const failures = Array.from({ length: 20 }, () => closed(1006))
    assert.equal(afterMs(1006, failures.slice(0, 2)), 3_996)
    assert.equal(afterMs(1006, failures), 59_940)
  })

  test('gives up slowly when the credential is refused, superseded or fought over', () => {
    for (const code of [4401, 4409, 4423]) assert.equal(afterMs(code), 59_940, String(code))
  })

  test('stops for good when revoked', () => {
    const { state, effects } = drive({ current: OLD, next: null }, null, [opened, closed(4403)])
    assert.deepEqual(effects, [{ type: 'stopped', reason: 'revoked' }])
    assert.deepEqual(stepSession(state, { type: 'due' }, { description, random: 0 }).effects, [])
  })

  test('never comes back sooner than the server asked', () => {
    const error = message({
      type: 'error',
      code: 'over_capacity',
      message: '',
      retryable: true,
      reconnectAfterMs: 7_000,
    })
    assert.equal(afterMs(1013, [error], 0), 7_000)
    const final = message({ type: 'error', code: 'unauthorized', message: '', retryable: false })
    assert.equal(afterMs(1008, [final]), 59_940)
  })

  test('takes the time of a goaway, and the close after it changes nothing', () => {
    const goaway = message({ type: 'goaway', reason: 'draining', reconnectAfterMs: 1_234 })
    const online = [opened, message(registered())]
    assert.deepEqual(drive({ current: OLD, next: null }, null, [...online, goaway]).effects.at(-1), {
      type: 'connect_after',
      afterMs: 1_234,
    })
    assert.deepEqual(drive({ current: OLD, next: null }, null, [...online, goaway, closed(1012)]).effects, [])
    const due = drive({ current: OLD, next: null }, null, [...online, goaway, { type: 'due' }])
    assert.deepEqual(due.effects, [{ type: 'finish' }])
    const finished = drive({ current: OLD, next: null }, null, [
      ...online,
      goaway,
      { type: 'due' },
      closed(1000),
    ])
    assert.deepEqual(finished.effects, [{ type: 'connect', shard: null }])
  })

  test('comes back within a moment when its streams wait for it', () => {
    const lost: SessionEvent = { type: 'closed', code: 1006, isResumable: true }
    const online = [opened, message(registered())]
    assert.deepEqual(drive({ current: OLD, next: null }, null, [...online, lost], 0.999).effects, [
      { type: 'connect_after', afterMs: 199 },
    ])
    // The next failure counts as the first.
    assert.deepEqual(
      drive({ current: OLD, next: null }, null, [...online, lost, opened, closed(1006)], 0.999).effects,
      [{ type: 'connect_after', afterMs: 999 }],
    )
  })

  test('starts from the short wait again once it was online', () => {
    const failures = Array.from({ length: 5 }, () => closed(1006))
    assert.equal(afterMs(1006, [...failures, opened, message(registered())]), 999)
  })
})

suite('moving to another shard', () => {
  const goaway = (shard?: string): SessionEvent =>
    message({ type: 'goaway', reason: 'draining', reconnectAfterMs: 5, shard })
  const due: SessionEvent = { type: 'due' }
  const online = [opened, message(registered())]

  function step(features: DeviceFeature[], events: SessionEvent[]) {
    let state = newSession({ current: OLD, next: null }, null, features)
    let effects: SessionEffect[] = []
    for (const event of events) ({ state, effects } = stepSession(state, event, { description, random: 0.5 }))
    return { state, effects }
  }

  test('opens the new tunnel before it leaves the old one when it can hold two', () => {
    const { effects, state } = step(['overlap'], [...online, goaway(), due])
    assert.deepEqual(effects, [{ type: 'leave' }, { type: 'connect', shard: null }])
    assert.equal(state.phase, 'offline')
  })

  test('goes where it was sent once, and anywhere when that fails', () => {
    const { effects } = step(['overlap', 'follow'], [...online, goaway('shard-2'), due])
    assert.deepEqual(effects.at(-1), { type: 'connect', shard: 'shard-2' })
    const failed = step(['overlap', 'follow'], [...online, goaway('shard-2'), due, closed(1006), due])
    assert.deepEqual(failed.effects, [{ type: 'connect', shard: null }])
  })

  test('does not follow when it never said that it could', () => {
    assert.deepEqual(step(['overlap'], [...online, goaway('shard-2'), due]).effects.at(-1), {
      type: 'connect',
      shard: null,
    })
  })

  test('follows also when the gateway closes first', () => {
    const { effects } = step(['follow'], [...online, goaway('shard-2'), closed(1012), due])
    assert.deepEqual(effects, [{ type: 'connect', shard: 'shard-2' }])
  })

  test('always has one way on, whatever happens in whatever order', () => {
    const event = fc.constantFrom<SessionEvent>(
      opened,
      message(registered()),
      goaway('shard-2'),
      goaway(),
      closed(1006),
      { type: 'closed', code: 1006, isResumable: true },
      closed(1012),
      closed(4401),
      due,
    )
    const features = fc.subarray<DeviceFeature>(['overlap', 'follow', 'resume'])
    fc.assert(
      fc.property(features, fc.array(event, { maxLength: 40 }), (can, events) => {
        // What a shell would have: a socket, a timer, or both.
        let state = newSession({ current: OLD, next: null }, null, can)
        let hasSocket = false
        let isOpen = false
        let hasTimer = true
        for (const one of events) {
          if (one.type === 'due' ? !hasTimer : !hasSocket) continue
          if (one.type === 'message' ? !isOpen : one.type === 'opened' && isOpen) continue
          if (one.type === 'opened') isOpen = true
          if (one.type === 'due') hasTimer = false
          if (one.type === 'closed') hasSocket = false
          const next = stepSession(state, one, { description, random: 0.5 })
          state = next.state
          for (const effect of next.effects) {
            if (effect.type === 'connect') {
              assert.ok(!hasSocket, 'two newest tunnels')
              hasSocket = true
              isOpen = false
              assert.ok(effect.shard === null || can.includes('follow'))
            }
            if (effect.type === 'connect_after') hasTimer = true
            if (effect.type === 'close') hasSocket = false
            if (effect.type === 'leave') {
              assert.ok(isOpen && hasSocket && can.includes('overlap'))
              hasSocket = false
            }
          }
          assert.ok(hasSocket || hasTimer, 'nothing would ever happen again')
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
