import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { Mux, MuxStream } from '@wmoc/protocol/v2/mux'
import fc from 'fast-check'
import type { ExchangeRules } from './exchanges.ts'
import { RECEIVE_WINDOW, StreamsV2 } from './streams-v2.ts'
import type { StreamFailure, StreamSink, UpstreamRequest } from './upstream.ts'

const RULES: ExchangeRules = {
  maxInFlight: 2,
  maxQueued: 2,
  queueTimeoutMs: 10_000,
  firstByteTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  longIdleTimeoutMs: 86_400_000,
  totalTimeoutMs: 3_600_000,
  cancelGraceMs: 30_000,
}

interface Asked {
  readonly stream: MuxStream
  readonly isWebSocket: boolean
  readonly log: string[]
}

/** The gateway's streams and a device's machine, with a wire between them that carries only when told to. */
function bench(maxStreams = 2) {
  const state = { now: 0, settled: 0, isStuck: false }
  const asked: Asked[] = []
  const common = { maxStreams, maxChunk: 1_024, isResumable: false, wake: () => undefined }
  const gateway = createMux({
    ...common,
    role: 'opener',
    sendWindow: { stream: 4_096, connection: 6_000 },
    receiveWindow: RECEIVE_WINDOW,
    control: () => undefined,
  })
  const device: Mux = createMux({
    ...common,
    role: 'acceptor',
    sendWindow: RECEIVE_WINDOW,
    receiveWindow: { stream: 4_096, connection: 6_000 },
    control: () => undefined,
    accept(_request, stream, kind) {
      const one: Asked = { stream, isWebSocket: kind === 'websocket', log: [] }
      asked.push(one)
      return {
        data(bytes) {
          one.log.push('data')
          stream.consumed(bytes.length)
        },
        message(bytes) {
          one.log.push('message')
          stream.consumed(bytes.length)
        },
        closed: () => void one.log.push('closed'),
        end: () => void one.log.push('end'),
        reset: (code) => void one.log.push(`reset ${code}`),
        writable: () => undefined,
      }
    },
  })
  const streams = new StreamsV2(
    { ...RULES, maxInFlight: maxStreams },
    {
      mux: gateway,
      now: () => state.now,
      settled: () => (state.settled += 1),
      stuck: () => (state.isStuck = true),
    },
  )

  function carry(): void {
    for (let isMoving = true; isMoving;) {
      isMoving = false
      for (const [from, to] of [
        [gateway, device],
        [device, gateway],
      ] as const) {
        const message = from.pull(8_192)
        if (message === null) continue
        isMoving = true
        assert.equal(to.receive(Uint8Array.from(message)), null)
      }
    }
  }

  function user() {
    const log: string[] = []
    const sink = {
      log,
      buffered: 0,
      head(head: { status: unknown }) {
        log.push(`head ${String(head.status)}`)
        return head.status !== 999
      },
      data(bytes: Uint8Array) {
        log.push('data')
        sink.buffered += bytes.length
      },
      end: () => void log.push('end'),
      fail: (failure: StreamFailure) => void log.push(`fail ${failure}`),
      bufferedBytes: () => sink.buffered,
      writable: () => undefined,
      message: () => void log.push('message'),
      closed: () => void log.push('closed'),
    }
    return sink satisfies StreamSink
  }

  function open(kind: UpstreamRequest['kind'] = 'bodiless') {
    const sink = user()
    const request = { method: 'GET', path: '/', headers: [], kind, bodyLength: null }
    return { sink, stream: streams.open(request, sink) }
  }
  return { state, asked, gateway, device, streams, carry, open }
}

suite('streams of a v2 tunnel', () => {
  test('T11: credit comes back only for what the user’s connection took', () => {
    const { asked, carry, open } = bench()
    const { sink, stream } = open()
    carry()
    const one = asked[0]!.stream
    one.respond({ status: 200, headers: [] }, false)
    one.write(new Uint8Array(2_000_000))
    carry()
    // What counts as taken, and a window more.
    assert.ok(sink.buffered <= 65_536 + RECEIVE_WINDOW.stream, `${sink.buffered} bytes`)
    const held = sink.buffered
    stream!.drained()
    carry()
    assert.equal(sink.buffered, held)
    sink.buffered = 0
    stream!.drained()
    carry()
    assert.ok(sink.buffered > 0)
    while (one.queuedBytes > 0) {
      sink.buffered = 0
      stream!.drained()
      carry()
    }
    one.end()
    carry()
    assert.equal(sink.log.at(-1), 'end')
  })

  test('T11, T12: a hundred slow readers of one controller hold up nobody else', () => {
    const { asked, carry, open } = bench(101)
    for (let reader = 0; reader < 100; reader += 1) {
      open()
      carry()
      asked[reader]!.stream.respond({ status: 200, headers: [] }, false)
      asked[reader]!.stream.write(new Uint8Array(1_000_000))
    }
    carry()
    const { sink } = open()
    carry()
    asked[100]!.stream.respond({ status: 200, headers: [] }, false)
    asked[100]!.stream.write(new Uint8Array(1_024))
    asked[100]!.stream.end()
    carry()
    assert.deepEqual(sink.log, ['head 200', 'data', 'end'])
  })

  test('a user who takes nothing is cut, a device that may not send is not late, one that is silent is', () => {
    const { asked, carry, open, state, streams } = bench()
    const slow = open()
    const silent = open()
    carry()
    for (const { stream } of asked) stream.respond({ status: 200, headers: [] }, false)
    asked[0]!.stream.write(new Uint8Array(500_000))
    asked[1]!.stream.write(new Uint8Array(10))
    carry()
    silent.sink.buffered = 0
    for (state.now = 1_000; state.now <= 62_000; state.now += 1_000) streams.tick(state.now)
    carry()
    assert.equal(slow.sink.log.at(-1), 'fail slow_reader')
    assert.equal(silent.sink.log.at(-1), 'fail device_timeout')
    assert.equal(asked[0]!.log.at(-1), `reset ${RESET.slowReader}`)
    assert.equal(streams.exchanges.inFlight, 0)
  })

  test('an upload that goes on is not late, whatever it takes; one that the device does not read is', () => {
    const { asked, carry, open, state, streams } = bench()
    const { sink, stream } = open('body')
    for (state.now = 1_000; state.now <= 100_000; state.now += 1_000) {
      stream!.write(new Uint8Array(500))
      carry()
      streams.tick(state.now)
    }
    assert.deepEqual(sink.log, [])
    stream!.write(new Uint8Array(50_000))
    for (const end = state.now + 40_000; state.now <= end; state.now += 1_000) streams.tick(state.now)
    assert.deepEqual(sink.log, ['fail device_timeout'])
    carry()
    assert.match(asked[0]!.log.at(-1)!, /^reset/)
  })

  test('an answer that is whole before its request frees the slot, and the device is told that nothing follows', () => {
    const { asked, carry, open, streams } = bench()
    const { sink, stream } = open('body')
    stream!.write(new Uint8Array(100))
    carry()
    asked[0]!.stream.respond({ status: 413, headers: [] }, true)
    carry()
    assert.deepEqual(sink.log, ['head 413', 'end'])
    assert.equal(asked[0]!.log.at(-1), `reset ${RESET.cancelled}`)
    assert.equal(streams.exchanges.inFlight, 0)
    stream!.write(new Uint8Array(100))
    stream!.end()
    carry()
    assert.equal(asked[0]!.log.length, 2)
  })

  test('a device that does not confirm a cancellation is told apart from one that does', () => {
    const { carry, open, state, streams } = bench()
    const first = open()
    carry()
    first.stream!.cancel()
    carry()
    assert.equal(streams.exchanges.inFlight, 0)
    const second = open()
    carry()
    second.stream!.cancel()
    streams.tick((state.now = 29_000))
    assert.equal(state.isStuck, false)
    assert.equal(streams.exchanges.inFlight, 1)
    streams.tick((state.now = 31_000))
    assert.equal(state.isStuck, true)
  })

  test('whatever happens in whatever order, each user gets head, data, then exactly one end, and every slot comes back', () => {
    const which = fc.nat({ max: 1 })
    const kind = fc.constantFrom('bodiless' as const, 'body' as const, 'websocket' as const)
    const step = fc.oneof(
      fc.record({ do: fc.constant('open' as const), kind }),
      fc.record({ do: fc.constantFrom('write', 'end', 'cancel', 'close', 'message', 'drained'), which }),
      fc.record({
        do: fc.constantFrom('respond', 'bad', 'send', 'finish', 'reset', 'say', 'hang up'),
        which,
      }),
      fc.record({ do: fc.constant('carry' as const) }),
      fc.record({ do: fc.constant('tick' as const), after: fc.integer({ min: 0, max: 20_000 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { state, asked, gateway, device, streams, carry, open } = bench()
        const users: { sink: ReturnType<typeof open>['sink']; stream: ReturnType<typeof open>['stream'] }[] =
          []
        for (const taken of steps) {
          if (taken.do === 'open') {
            const opened = open('kind' in taken ? taken.kind : 'bodiless')
            if (opened.stream !== null) users.push(opened)
          } else if (taken.do === 'carry') carry()
          else if (taken.do === 'tick') streams.tick((state.now += 'after' in taken ? taken.after : 0))
          else if ('which' in taken) {
            const opened = users.at(taken.which)
            const one = asked.at(taken.which)
            if (taken.do === 'write') opened?.stream!.write(new Uint8Array(3_000))
            if (taken.do === 'end') opened?.stream!.end()
            if (taken.do === 'message') opened?.stream!.message(new Uint8Array(100), true)
            if (taken.do === 'close') opened?.stream!.close(1000, '')
            if (taken.do === 'drained' && opened !== undefined) {
              opened.sink.buffered = 0
              opened.stream!.drained()
            }
            if (taken.do === 'cancel') opened?.stream!.cancel()
            if (taken.do === 'respond')
              one?.stream.respond({ status: one.isWebSocket ? 101 : 200, headers: [] }, false)
            if (taken.do === 'bad') one?.stream.respond({ status: 999, headers: [] }, false)
            if (taken.do === 'send') one?.stream.write(new Uint8Array(20_000))
            if (taken.do === 'say') one?.stream.message(new Uint8Array(2_000), false)
            if (taken.do === 'finish') one?.stream.end()
            if (taken.do === 'hang up') one?.stream.close(1000, '')
            if (taken.do === 'reset') one?.stream.reset(RESET.interrupted)
          }
          assert.deepEqual(streams.exchanges.invariants(), [])
          assert.deepEqual(gateway.invariants(), [])
        }
        carry()
        for (const opened of users) opened.stream!.cancel()
        for (let round = 0; round < 10; round += 1) carry()
        assert.equal(streams.exchanges.size, 0)
        assert.equal(gateway.size, 0)
        assert.deepEqual(device.invariants(), [])
        for (const opened of users) {
          const text = opened.sink.log.map((entry) => entry.split(' ')[0]).join(' ')
          assert.match(text, /^(?:head(?: data| message)*)? ?(?:end|fail|closed)?$/)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
