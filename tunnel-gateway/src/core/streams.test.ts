import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { Streams } from './streams.ts'
import type { StreamRules } from './streams.ts'
import type { DeviceHead, StreamFailure } from './upstream.ts'

const RULES: StreamRules = {
  maxInFlight: 2,
  maxQueued: 2,
  queueTimeoutMs: 10_000,
  firstByteTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  longIdleTimeoutMs: 86_400_000,
  totalTimeoutMs: 3_600_000,
  cancelGraceMs: 2_000,
  maxBodyBytes: 64,
  pauseBytes: 100,
  resumeBytes: 20,
  maxBufferedBytes: 200,
  maxPauseMs: 15_000,
}

function bench(rules: Partial<StreamRules> = {}) {
  const sent: string[] = []
  const oddities: string[] = []
  const pauses: boolean[] = []
  const streams = new Streams(
    { ...RULES, ...rules },
    {
      send: (message) => void sent.push(message),
      pause: (isPaused) => void pauses.push(isPaused),
      oddity: (kind) => void oddities.push(kind),
      settled: () => undefined,
    },
  )
  function user(isHeadFine = true) {
    const log: string[] = []
    const state = { log, buffered: 0 }
    return Object.assign(state, {
      head: (response: DeviceHead) => {
        log.push(`head ${String(response.status)}`)
        return isHeadFine
      },
      data: (bytes: Uint8Array) => void log.push(`data ${bytes.length}`),
      end: () => void log.push('end'),
      fail: (failure: StreamFailure) => void log.push(`fail ${failure}`),
      bufferedBytes: () => state.buffered,
      writable: () => undefined,
      message: () => undefined,
      closed: () => undefined,
    })
  }
  const open = (id: string, sink = user(), now = 0) => ({
    sink,
    isOpen: streams.open({ id, message: `ask ${id}` }, sink, now),
  })
  const respond = (id: string, more = false, body = 'abc', now = 0) =>
    streams.receive({ type: 'http_response', id, status: 200, body, more }, now)
  const chunk = (id: string, more = false, body = 'abc', now = 0) =>
    streams.receive({ type: 'http_response_chunk', id, body, more }, now)
  return { streams, sent, oddities, pauses, user, open, respond, chunk }
}

suite('streams of a tunnel', () => {
  test('what a person can do without for a moment waits behind the rest, and no longer than all', () => {
    const { streams, sent, user, open, respond } = bench({ maxInFlight: 1, maxQueued: 8 })
    open('1')
    const [picture, page, other] = [user(), user(), user()]
    streams.open({ id: 'picture', message: 'ask picture', isLate: true }, picture, 0)
    streams.open({ id: 'page', message: 'ask page' }, page, 5_000)
    streams.open({ id: 'other', message: 'ask other', isLate: true }, other, 5_000)
    respond('1', false, 'abc', 6_000)
    assert.deepEqual(sent, ['ask 1', 'ask page'])
    streams.tick(10_001)
    assert.deepEqual([picture.log, other.log], [['fail overloaded'], []])
    respond('page', false, 'abc', 10_002)
    assert.equal(sent.at(-1), 'ask other')
    assert.deepEqual(streams.invariants(), [])
  })

  test('sends at most what the device holds, keeps order, and refuses beyond the queue', () => {
    const { open, sent, respond, streams } = bench()
    const opened = ['a', 'b', 'c', 'd', 'e'].map((id) => open(id).isOpen)
    assert.deepEqual(opened, [true, true, true, true, false])
    assert.deepEqual(sent, ['ask a', 'ask b'])
    respond('b')
    assert.deepEqual(sent, ['ask a', 'ask b', 'ask c'])
    assert.deepEqual(streams.invariants(), [])
  })

  test('hands a response to its user in order', () => {
    const { open, respond, chunk } = bench()
    const { sink } = open('a')
    respond('a', true)
    chunk('a', true, 'de')
    chunk('a', false, '')
    assert.deepEqual(sink.log, ['head 200', 'data 3', 'data 2', 'end'])
  })

  test('keeps the slot of a cancelled request until the device answers or the grace is over', () => {
    const { open, sent, respond, streams } = bench({ maxInFlight: 1 })
    const { sink } = open('a')
    open('b')
    streams.cancel('a', 100)
    assert.deepEqual(sent, ['ask a', '{"type":"http_cancel","id":"a"}'])
    respond('a', false, 'late', 200)
    assert.deepEqual(sent.at(-1), 'ask b')
    assert.deepEqual(sink.log, [])
    open('c', undefined, 300)
    streams.cancel('b', 300)
    streams.tick(2_200)
    assert.deepEqual(sent.at(-1), '{"type":"http_cancel","id":"b"}')
    streams.tick(2_400)
    assert.deepEqual(sent.at(-1), 'ask c')
  })

  test('ends what takes too long: in the queue, before the first byte, between chunks, in all', () => {
    const queueing = bench({ maxInFlight: 1 })
    const first = queueing.open('a')
    const waiting = queueing.open('b')
    queueing.streams.tick(10_001)
    assert.deepEqual(waiting.sink.log, ['fail overloaded'])
    queueing.streams.tick(30_001)
    assert.deepEqual(first.sink.log, ['fail device_timeout'])

    const idle = bench()
    const { sink } = idle.open('a')
    idle.respond('a', true, 'abc', 1_000)
    idle.streams.tick(60_000)
    assert.equal(sink.log.length, 2)
    idle.streams.tick(61_001)
    assert.equal(sink.log.at(-1), 'fail device_timeout')

    const long = bench()
    const endless = long.open('a')
    long.respond('a', true)
    for (let now = 0; now <= 3_600_000; now += 30_000) long.chunk('a', true, 'x', now)
    long.streams.tick(3_600_001)
    assert.equal(endless.sink.log.at(-1), 'fail device_timeout')
  })

  test('a broken body or head fails the stream, not the tunnel', () => {
    const { open, user, respond, streams, sent, oddities } = bench()
    const refused = user(false)
    open('a', refused)
    respond('a', true)
    assert.deepEqual(refused.log, ['head 200', 'fail bad_device_response'])
    assert.equal(sent.at(-1), '{"type":"http_cancel","id":"a"}')
    const { sink } = open('b')
    streams.receive({ type: 'http_response', id: 'b', status: 200, body: '!', bodyEncoding: 'base64' }, 0)
    const big = open('c')
    respond('c', false, 'x'.repeat(65))
    assert.deepEqual(sink.log, ['fail bad_device_response'])
    assert.deepEqual(big.sink.log, ['fail bad_device_response'])
    assert.deepEqual(oddities, ['bad_body', 'bad_body'])
  })

  test('T11: pauses the device while a user lags, goes on when the buffer is empty, cuts who never drains', () => {
    const { open, respond, chunk, pauses, streams } = bench()
    const { sink } = open('a')
    const other = open('b')
    respond('a', true)
    sink.buffered = 101
    chunk('a', true)
    assert.deepEqual(pauses, [true])
    sink.buffered = 50
    streams.drained()
    assert.deepEqual(pauses, [true])
    sink.buffered = 0
    streams.drained()
    assert.deepEqual(pauses, [true, false])

    sink.buffered = 150
    chunk('a', true, 'abc', 1_000)
    streams.tick(16_000)
    assert.equal(sink.log.at(-1), 'data 3')
    streams.tick(16_001)
    assert.equal(sink.log.at(-1), 'fail slow_reader')
    assert.deepEqual(pauses, [true, false, true, false])
    assert.deepEqual(other.sink.log, [])
  })

  test('T11: cuts a stream whose buffer grows although the device was paused', () => {
    const { open, respond, chunk } = bench()
    const { sink } = open('a')
    respond('a', true)
    sink.buffered = 201
    chunk('a', true)
    assert.equal(sink.log.at(-1), 'fail slow_reader')
  })

  test('settles every pending request when the tunnel closes', () => {
    const { open, streams } = bench()
    const all = ['a', 'b', 'c', 'd'].map((id) => open(id).sink)
    streams.cancel('a', 0)
    streams.closeAll('device_disconnected')
    assert.deepEqual(
      all.map((sink) => sink.log),
      [[], ...Array.from({ length: 3 }, () => ['fail device_disconnected'])],
    )
    assert.equal(streams.exchanges.size, 0)
  })

  test('whatever happens in whatever order, each user gets head, data, then exactly one end, and the books stay in order', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
    const step = fc.oneof(
      fc.record({ do: fc.constant('open' as const), id }),
      fc.record({
        do: fc.constant('respond' as const),
        id,
        more: fc.boolean(),
        body: fc.constantFrom('', 'abc', 'x'.repeat(70)),
      }),
      fc.record({ do: fc.constant('chunk' as const), id, more: fc.boolean() }),
      fc.record({ do: fc.constant('cancel' as const), id }),
      fc.record({ do: fc.constant('tick' as const), after: fc.integer({ min: 0, max: 40_000 }) }),
      fc.record({ do: fc.constant('buffer' as const), id, bytes: fc.integer({ min: 0, max: 250 }) }),
      fc.record({ do: fc.constant('drained' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { streams, open, user, respond, chunk } = bench()
        const users = new Map<string, ReturnType<typeof user>>()
        const everybody: { sink: ReturnType<typeof user>; isGone: boolean; id: string }[] = []
        let now = 0
        for (const taken of steps) {
          if (taken.do === 'open') {
            // Ids are random in life and never come twice.
            if (users.has(taken.id)) continue
            const sink = user()
            if (open(taken.id, sink, now).isOpen) {
              users.set(taken.id, sink)
              everybody.push({ sink, isGone: false, id: taken.id })
            }
          } else if (taken.do === 'respond') respond(taken.id, taken.more, taken.body, now)
          else if (taken.do === 'chunk') chunk(taken.id, taken.more, 'x', now)
          else if (taken.do === 'cancel') {
            streams.cancel(taken.id, now)
            for (const entry of everybody) if (entry.id === taken.id) entry.isGone = true
          } else if (taken.do === 'tick') streams.tick((now += taken.after))
          else if (taken.do === 'buffer') Object.assign(users.get(taken.id) ?? {}, { buffered: taken.bytes })
          else streams.drained()
          assert.deepEqual(streams.invariants(), [])
        }
        streams.closeAll('device_disconnected')
        for (const { sink, isGone } of everybody) {
          const text = sink.log.map((entry) => entry.split(' ')[0]).join(' ')
          assert.match(text, isGone ? /^(head( data)*)?( ?end| ?fail)?$/ : /^(head( data)* (end|fail)|fail)$/)
        }
      }),
      { numRuns: 500 },
    )
  })
})
