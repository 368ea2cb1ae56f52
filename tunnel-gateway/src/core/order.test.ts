import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { CLOSE } from '@wmoc/protocol/close-codes'
import { encodeFrame } from '@wmoc/protocol/v2/frame-codec'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import { createAdmission } from './admission.ts'
import { createBuckets, takeFrom } from './buckets.ts'
import { planDrain } from './drain-schedule.ts'
import { createFlapDetector, FLAP_RULES } from './flapping.ts'
import { createHub } from './hub.ts'
import { heartbeatMs, TunnelSession } from './tunnel-session.ts'

suite('the hub', () => {
  test('F1: of a controller’s tunnels the highest epoch stays, whatever the order of arrival and leaving', () => {
    const step = fc.record({
      leaves: fc.boolean(),
      controllerId: fc.constantFrom('a', 'b', 'c'),
      epoch: fc.integer({ min: 1, max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const hub = createHub<{ controllerId: string; epoch: number }>()
        const model = new Map<string, { controllerId: string; epoch: number }>()
        const everyone: { controllerId: string; epoch: number }[] = []
        for (const { leaves, controllerId, epoch } of steps) {
          if (leaves) {
            const gone = everyone.find(
              (tunnel) => tunnel.controllerId === controllerId && tunnel.epoch === epoch,
            )
            if (gone === undefined) continue
            assert.equal(hub.detach(gone), model.get(controllerId) === gone)
            if (model.get(controllerId) === gone) model.delete(controllerId)
          } else {
            const tunnel = { controllerId, epoch }
            everyone.push(tunnel)
            const before = model.get(controllerId)
            const attached = hub.attach(tunnel)
            assert.equal(attached.isAttached, before === undefined || epoch > before.epoch)
            if (attached.isAttached) {
              assert.equal(attached.replaced, before ?? null)
              model.set(controllerId, tunnel)
            }
          }
          assert.equal(hub.size, model.size)
          assert.equal(hub.get(controllerId), model.get(controllerId))
          assert.deepEqual(hub.invariants(), [])
        }
      }),
    )
  })
})

suite('buckets', () => {
  test('never let through more than the burst and the rate together', () => {
    fc.assert(
      fc.property(
        fc.record({
          burst: fc.integer({ min: 1, max: 20 }),
          count: fc.integer({ min: 1, max: 50 }),
          periodMs: fc.constant(1_000),
        }),
        fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 200 }),
        (rule, gaps) => {
          let now = 1_000
          let arrivalAt = 0
          let allowed = 0
          for (const gap of gaps) {
            now += gap
            const taken = takeFrom(arrivalAt, rule, now)
            arrivalAt = taken.arrivalAt
            if (taken.retryAfterMs === 0) allowed += 1
            else assert.equal(takeFrom(arrivalAt, rule, now + taken.retryAfterMs).retryAfterMs, 0)
          }
          assert.ok(allowed <= rule.burst + ((now - 1_000) * rule.count) / rule.periodMs + 1)
        },
      ),
    )
  })

  test('remember a bounded number of keys', () => {
    const buckets = createBuckets(100)
    for (let index = 0; index < 10_000; index += 1)
      buckets.take(`k${index}`, { burst: 1, count: 1, periodMs: 1_000 }, 0)
    assert.ok(buckets.size <= 100)
  })
})

test('T15: admission counts sockets by address and in total, and forgets those that left', () => {
  const fast = { burst: 1_000, count: 1_000, periodMs: 1_000 }
  const rules = {
    maxTunnels: 10,
    maxUnregistered: 4,
    maxUnregisteredPerAddress: 2,
    perAddress: fast,
    registrations: { burst: 1, count: 1, periodMs: 1_000 },
  }
  const admission = createAdmission(rules)
  assert.deepEqual(
    ['a', 'a', 'a', 'b', 'b', 'c'].map((address) => admission.enter(address, 0, 0)),
    ['yes', 'yes', 'address_full', 'yes', 'yes', 'full'],
  )
  admission.left('a')
  assert.equal(admission.enter('a', 0, 0), 'yes')
  admission.left('a')
  assert.equal(admission.enter('a', 7, 0), 'full')
  assert.equal(admission.register(0), 0)
  assert.equal(admission.register(0), 1_000)
  assert.equal(
    createAdmission({ ...rules, perAddress: { burst: 1, count: 1, periodMs: 1_000 } }).enter('a', 0, 0),
    'yes',
  )
})

suite('D9: the flapping detector', () => {
  test('sees an alternation of two identities', () => {
    const flaps = createFlapDetector()
    const verdicts = ['b', 'a', 'b', 'a'].map((after, index) =>
      flaps.takeover('x', after === 'a' ? 'b' : 'a', after, index * 1_000),
    )
    assert.deepEqual(verdicts, ['fine', 'fine', 'fine', 'conflict'])
    assert.equal(flaps.blockedForMs('x', 4_000), FLAP_RULES.penaltyMs - 1_000)
    assert.equal(flaps.takeover('x', 'a', 'b', 5_000), 'blocked')
    assert.equal(flaps.blockedForMs('x', 64_000), 0)
  })

  test('does not take a device that reboots or moves for two', () => {
    const flaps = createFlapDetector()
    for (let boot = 0; boot < 9; boot += 1)
      assert.equal(flaps.takeover('x', `boot ${boot}`, `boot ${boot + 1}`, boot * 12_000), 'fine')
    for (let index = 0; index < 50; index += 1)
      assert.equal(flaps.takeover('y', 'same', 'same', index * 20_000), 'fine')
  })

  test('forgets what is over', () => {
    const flaps = createFlapDetector()
    flaps.takeover('x', 'a', 'b', 0)
    flaps.sweep(FLAP_RULES.windowMs + 1)
    assert.equal(flaps.size(), 0)
  })
})

test('a drain spreads goaways over the window and reconnects wider still', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (count, random) => {
        const tunnels = Array.from({ length: count }, (_, index) => index)
        const plan = planDrain(
          tunnels,
          (index) => index % 3 === 0,
          5_000,
          () => random,
        )
        assert.equal(plan.length, count)
        for (const [index, { afterMs, reconnectAfterMs }] of plan.entries()) {
          assert.ok(afterMs >= (plan[index - 1]?.afterMs ?? 0) && afterMs <= 5_000)
          assert.ok(reconnectAfterMs >= 0 && reconnectAfterMs <= 30_500)
        }
      },
    ),
  )
})

suite('the conversation on a tunnel', () => {
  function conversation(dialect: 'v1' | 'v2' = 'v1') {
    const log: string[] = []
    const session = new TunnelSession(
      {
        dialect,
        sendBytes: () => void log.push('frame'),
        frames: () => null,
        sendText: (text) => void log.push(text),
        ping: () => void log.push('ping'),
        closeSocket: (reason) => void log.push(`close ${reason.code}`),
        register: () => void log.push('register'),
        response: (message) => void log.push(message.type),
        ingest: (message) => void log.push(message.type),
        commandResult: () => void log.push('result'),
      },
      {
        registerTimeoutMs: 10_000,
        heartbeatMs: 25_000,
        deadAfterMs: 75_000,
        messages: { burst: 3, count: 1, periodMs: 1_000 },
      },
      0,
      25_000,
    )
    const receive = (text: string, now = 0) => session.receive(new TextEncoder().encode(text), false, now)
    return { session, log, receive }
  }
  const registered = {
    type: 'registered',
    controllerId: '0192f3a4-5b6c-7d8e-9f00-112233445566',
    status: 'active',
    epoch: 1,
    heartbeatSec: 25,
    serverTimeMs: 0,
    limits: { maxMessageBytes: 1, maxStreams: 1, maxRequestBody: 1, maxResponseBody: 1, maxItemsPerBatch: 1 },
  } as const
  const metrics = '{"type":"metrics","items":[{"type":"a","value":1}]}'

  test('T18: pings by its own beat, and is dead after 75 s of silence', () => {
    const { session, log, receive } = conversation()
    receive('{"type":"register"}')
    session.registered(registered)
    log.length = 0
    for (let now = 1_000; now <= 76_000; now += 1_000) session.tick(now, true)
    assert.deepEqual(log, ['ping', 'ping', 'ping', `close ${CLOSE.goingAway.code}`])
  })

  test('T18: a device that answered pings and stops to is dead within 45 s', () => {
    const { session, log, receive } = conversation()
    receive('{"type":"register"}')
    session.registered(registered)
    let now = 0
    const tickUntil = (end: number) => {
      for (; now < end; now += 1_000) session.tick(now, true)
    }
    tickUntil(26_000)
    session.ponged(26_000)
    log.length = 0
    tickUntil(71_000)
    assert.deepEqual(log, ['ping', `close ${CLOSE.goingAway.code}`])
  })

  test('a tunnel that is not read from on purpose is not dead', () => {
    const { session, log } = conversation()
    for (let now = 1_000; now <= 9_000; now += 1_000) session.tick(now, false)
    session.tick(9_999, true)
    assert.deepEqual(log, [])
  })

  test('closes with 4408 when no registration comes', () => {
    const { session, log } = conversation()
    session.tick(10_001, true)
    assert.equal(log.at(-1), `close ${CLOSE.registerTimeout.code}`)
  })

  test('T14: more messages than the rate close with 4429, responses do not count', () => {
    const { session, log, receive } = conversation()
    receive('{"type":"register"}')
    session.registered(registered)
    for (let index = 0; index < 50; index += 1) receive('{"type":"http_response","id":"x","status":200}')
    for (let index = 0; index < 3; index += 1) receive(metrics)
    assert.equal(log.at(-1), 'metrics')
    receive(metrics)
    assert.equal(log.at(-1), `close ${CLOSE.tooFast.code}`)
  })

  test('says nothing more once it is closed', () => {
    const { session, log, receive } = conversation()
    session.close(CLOSE.policy)
    receive(metrics)
    session.send({ type: 'ack', seq: 1 })
    session.tick(1e9, true)
    session.close(CLOSE.restart)
    assert.deepEqual(log, [`close ${CLOSE.policy.code}`])
  })

  test('any bytes end in an answer or a close, never in a throw', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 60 }),
            fc.json().map((text) => new TextEncoder().encode(text)),
          ),
          { maxLength: 5 },
        ),
        (frames) => {
          const { session } = conversation()
          for (const frame of frames) session.receive(frame, false, 0)
          assert.ok(['new', 'registering', 'closed'].includes(session.phase))
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('T7: any bytes of dialect v2 end in an answer or a close, never in a throw', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.json().map((text) => new TextEncoder().encode(text)),
    )
    const frame = fc
      .record({
        type: fc.integer({ min: 0, max: 21 }),
        flags: fc.constantFrom(0, 1, 2, 255),
        stream: fc.constantFrom(0, 0, 0, 1, 65_535),
        payload,
        cut: fc.constantFrom(0, 0, 0, 1, 5),
      })
      .map(({ type, flags, stream, payload: bytes, cut }) => {
        const whole = encodeFrame(type as FrameType, bytes, { flags, stream })
        return whole.subarray(0, whole.length - cut)
      })
    fc.assert(
      fc.property(
        fc.array(fc.oneof(frame, fc.uint8Array({ maxLength: 40 })), { maxLength: 5 }),
        fc.boolean(),
        (messages, isBinary) => {
          const { session, log } = conversation('v2')
          for (const message of messages) session.receive(message, isBinary, 0)
          assert.ok(['new', 'registering', 'closed'].includes(session.phase))
          if (session.phase === 'closed') assert.match(log.at(-1)!, /^close (?:1007|1008|4400)$/)
        },
      ),
      { numRuns: 3_000 },
    )
  })

  test('heartbeats are what was set, give or take a fifth', () => {
    assert.deepEqual(
      [0, 0.5, 0.9999].map((random) => heartbeatMs(25_000, random)),
      [20_000, 25_000, 29_999],
    )
  })
})
