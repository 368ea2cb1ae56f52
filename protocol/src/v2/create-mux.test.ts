import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createMux } from './create-mux.ts'
import { encodeFrame } from './frame-codec.ts'
import { FRAME, RESET } from './frames.ts'
import type { Mux, MuxOptions, MuxStream, RequestHead, ResponseHead, StreamHandler } from './mux.ts'

const get = (path: string): RequestHead => ({ method: 'GET', path, headers: ['accept', '*/*'] })
const ok: ResponseHead = { status: 200, headers: ['content-type', 'text/plain'] }

/** Everything a stream's owner heard, as lines. */
function listener(stream: () => MuxStream | null = () => null, isReading = true) {
  const heard: string[] = []
  const note = (line: string) => void heard.push(line.trim())
  const handler: StreamHandler = {
    head: (head, isLast) => note(`head ${head.status} ${head.headers.join(',')}${isLast ? ' last' : ''}`),
    data: (bytes, isLast) => {
      note(`data ${Buffer.from(bytes).toString()}${isLast ? ' last' : ''}`)
      if (isReading) stream()?.consumed(bytes.length)
    },
    end: (trailers) => note(`end ${trailers?.join(',') ?? ''}`.trim()),
    reset: (code, words) => note(`reset ${code} ${words}`.trim()),
    writable: () => note('writable'),
    message: (bytes, isBinary, isLast) => {
      note(`${isBinary ? 'binary' : 'text'} ${Buffer.from(bytes).toString()}${isLast ? '' : ' …'}`)
      if (isReading) stream()?.consumed(bytes.length)
    },
    closed: (code, reason) => note(`closed ${code} ${reason}`),
    over: () => note('over'),
  }
  return { heard, handler }
}

interface Accepted {
  readonly request: RequestHead
  readonly kind: string
  readonly stream: MuxStream
  readonly heard: string[]
}

/** Two muxes back to back; `run` carries messages until neither has any. */
function pair(options: Partial<MuxOptions> = {}) {
  const accepted: Accepted[] = []
  const base = {
    maxStreams: 4,
    maxChunk: 1_024,
    sendWindow: { stream: 4_096, connection: 16_384 },
    receiveWindow: { stream: 4_096, connection: 16_384 },
    isResumable: false,
    wake() {},
    control() {},
  }
  const opener = createMux({ ...base, role: 'opener', ...options })
  const acceptor = createMux({
    ...base,
    role: 'acceptor',
    accept: (request, stream, kind) => {
      const { heard, handler } = listener(() => stream)
      accepted.push({ request, kind, stream, heard })
      return handler
    },
    ...options,
  })
  const carry = (from: Mux, to: Mux) => {
    for (let message = from.pull(2_048); message; message = from.pull(2_048)) {
      assert.ok(message.length <= 2_048)
      assert.equal(to.receive(message), null)
      sound(opener, acceptor)
    }
  }
  const run = () => {
    for (let at = 0; at < 50; at += 1) {
      carry(opener, acceptor)
      carry(acceptor, opener)
    }
  }
  return { opener, acceptor, accepted, run }
}

function sound(...muxes: Mux[]): void {
  for (const mux of muxes) assert.deepEqual(mux.invariants(), [])
}

suite('a stream', () => {
  test('carries a request and its answer, then frees its place', () => {
    const { opener, acceptor, accepted, run } = pair()
    const { heard, handler } = listener()
    opener.open(get('/status?x=1'), 'request', true, handler)
    run()
    assert.deepEqual(accepted[0]?.request, get('/status?x=1'))
    assert.deepEqual(accepted[0]?.heard, ['end'])
    accepted[0]?.stream.respond(ok, false)
    accepted[0]?.stream.write(Buffer.from('hello '))
    accepted[0]?.stream.write(Buffer.from('world'))
    accepted[0]?.stream.end()
    run()
    assert.deepEqual(heard, ['head 200 content-type,text/plain', 'data hello world last', 'end', 'over'])
    assert.deepEqual([opener.size, acceptor.size, opener.heldBytes, acceptor.heldBytes], [0, 0, 0, 0])
  })

  test('carries a body larger than every window as the reader takes it, and trailers', () => {
    const { opener, acceptor, accepted, run } = pair()
    const stream = opener.open({ ...get('/up'), method: 'POST' }, 'request', false, listener().handler)!
    const body = 'x'.repeat(100_000)
    stream.write(Buffer.from(body))
    stream.end(['checksum', 'abc'])
    run()
    const { heard } = accepted[0]!
    assert.equal(
      heard
        .filter((line) => line.startsWith('data'))
        .map((line) => line.slice(5))
        .join(''),
      body,
    )
    assert.equal(heard.at(-1), 'end checksum,abc')
    accepted[0]!.stream.respond(ok, true)
    run()
    assert.deepEqual([opener.size, acceptor.size], [0, 0])
  })

  test('tells its writer when the queue has fallen', () => {
    const { opener, run } = pair()
    const { heard, handler } = listener()
    const stream = opener.open({ ...get('/'), method: 'PUT' }, 'request', false, handler)!
    stream.write(Buffer.alloc(70_000))
    assert.equal(stream.queuedBytes, 70_000)
    run()
    assert.deepEqual([stream.queuedBytes, heard], [0, ['writable']])
  })

  test('is reset at both ends by one, and the place is free', () => {
    for (const side of ['opener', 'acceptor'] as const) {
      const { opener, acceptor, accepted, run } = pair()
      const { heard, handler } = listener()
      const stream = opener.open({ ...get('/'), method: 'PUT' }, 'request', false, handler)!
      stream.write(Buffer.alloc(10_000))
      run()
      const chosen = side === 'opener' ? stream : accepted[0]!.stream
      chosen.reset(RESET.cancelled, 'gone')
      run()
      const [resetter, other] = side === 'opener' ? [heard, accepted[0]!.heard] : [accepted[0]!.heard, heard]
      assert.equal(resetter.at(-1), 'over')
      assert.deepEqual(other.slice(-2), ['reset 1 gone', 'over'])
      assert.deepEqual([opener.size, acceptor.size, stream.isOver], [0, 0, true])
    }
  })

  test('that is reset before anything went out leaves no frame', () => {
    const { opener, accepted, run } = pair()
    const { heard, handler } = listener()
    opener.open(get('/'), 'request', true, handler)!.reset(RESET.cancelled)
    assert.equal(opener.pull(2_048), null)
    run()
    assert.deepEqual([heard, accepted.length], [['over'], 0])
  })

  test('waits for credit granted in advance when its window is 0', () => {
    const windows = {
      sendWindow: { stream: 0, connection: 16_384 },
      receiveWindow: { stream: 0, connection: 16_384 },
    }
    const { opener, accepted, run } = pair(windows)
    const stream = opener.open({ ...get('/'), method: 'PUT' }, 'request', false, listener().handler)!
    stream.write(Buffer.from('abc'))
    stream.end()
    run()
    assert.deepEqual(accepted[0]?.heard, [])
    accepted[0]?.stream.grant(8_192)
    run()
    assert.deepEqual(accepted[0]?.heard, ['data abc last', 'end'])
  })

  test('carries a WebSocket: messages in pieces, kinds, closing', () => {
    const { opener, acceptor, accepted, run } = pair()
    const { heard, handler } = listener()
    const socket = opener.open(get('/live'), 'websocket', false, handler)!
    socket.message(Buffer.from('early'), false)
    run()
    assert.deepEqual([accepted[0]?.kind, accepted[0]?.heard], ['websocket', []])
    const device = accepted[0]!.stream
    device.respond({ status: 101, headers: [] }, false)
    run()
    assert.deepEqual([heard, accepted[0]?.heard], [['head 101'], ['text early']])
    device.message(Buffer.from('y'.repeat(1_500)), true)
    device.message(Buffer.alloc(0), false)
    device.close(1000, 'bye')
    run()
    assert.deepEqual(heard.slice(1), [
      `binary ${'y'.repeat(1_024)} …`,
      `binary ${'y'.repeat(476)}`,
      'text',
      'closed 1000 bye',
    ])
    socket.close(1000, '')
    run()
    assert.deepEqual(
      [heard.at(-1), accepted[0]?.heard.slice(1), opener.size, acceptor.size],
      ['over', ['closed 1000', 'over'], 0, 0],
    )
  })

  test('asked to be a WebSocket can be refused with a page', () => {
    const { opener, acceptor, accepted, run } = pair()
    const { heard, handler } = listener()
    opener.open(get('/live'), 'websocket', false, handler)!.message(Buffer.from('early'), false)
    run()
    accepted[0]!.stream.respond({ status: 404, headers: [] }, false)
    accepted[0]!.stream.write(Buffer.from('no'))
    accepted[0]!.stream.end()
    run()
    assert.deepEqual(heard, ['head 404', 'data no last', 'end', 'over'])
    assert.deepEqual([accepted[0]!.heard, opener.size, acceptor.size], [['over'], 0, 0])
  })
})

suite('the connection', () => {
  test('opens no more streams than agreed', () => {
    const { opener } = pair()
    const open = () => opener.open(get('/'), 'request', true, listener().handler)
    assert.deepEqual(
      [open(), open(), open(), open(), open()].map((stream) => stream === null),
      [false, false, false, false, true],
    )
  })

  test('T12: takes turns, a huge body does not hold up a small one', () => {
    const { opener, acceptor, accepted, run } = pair()
    const small = listener()
    opener.open(get('/huge'), 'request', true, listener().handler)
    opener.open(get('/small'), 'request', true, small.handler)
    run()
    accepted[0]!.stream.respond(ok, false)
    accepted[0]!.stream.write(Buffer.alloc(1_000_000))
    accepted[1]!.stream.respond(ok, false)
    accepted[1]!.stream.write(Buffer.from('small'))
    accepted[1]!.stream.end()
    let carried = 0
    while (small.heard.at(-1) !== 'over') {
      const message = acceptor.pull(1_500)!
      carried += message.length
      opener.receive(message)
    }
    assert.ok(carried <= 3_000, `${carried} bytes before the small one was whole`)
  })

  test('wakes its owner once until everything is pulled', () => {
    let wakes = 0
    const { opener } = pair({ wake: () => void (wakes += 1) })
    opener.open(get('/a'), 'request', true, listener().handler)
    opener.open(get('/b'), 'request', true, listener().handler)
    assert.equal(wakes, 1)
    while (opener.pull(2_048));
    opener.control(FRAME.ping, Buffer.from('x'))
    assert.equal(wakes, 2)
  })

  test('ends every stream when it is closed', () => {
    const { opener, run } = pair()
    const { heard, handler } = listener()
    opener.open(get('/'), 'request', true, handler)
    run()
    opener.closeAll(RESET.disconnected)
    assert.deepEqual([heard, opener.size], [['reset 10', 'over'], 0])
    assert.equal(opener.open(get('/'), 'request', true, handler), null)
    sound(opener)
  })

  test('answers a flood of PING with eight PONG when nobody reads', () => {
    const { acceptor } = pair()
    const ping = encodeFrame(FRAME.ping, Buffer.from('12345678'))
    for (let at = 0; at < 1_000; at += 1) assert.equal(acceptor.receive(ping), null)
    assert.equal(acceptor.heldBytes, 8 * ping.length)
    assert.equal(acceptor.pull(4_096)?.length, 8 * ping.length)
  })

  test('gives up resuming when more is unacknowledged than can be kept', () => {
    const { opener } = pair({ isResumable: true, maxStreams: 1_000 })
    const long = { method: 'GET', path: `/${'x'.repeat(10_000)}`, headers: [] }
    for (let at = 0; at < 30 && opener.isResumable; at += 1) {
      opener.open(long, 'request', true, listener().handler)
      opener.pull(20_000)
    }
    assert.deepEqual([opener.isResumable, opener.heldBytes], [false, 0])
    opener.suspend()
    assert.equal(opener.resume(0), false)
  })

  test('takes numbers in turn, and none that a stream still has', () => {
    const { opener, accepted, run } = pair()
    const first = opener.open(get('/long'), 'request', true, listener().handler)!
    run()
    const seen = new Set<number>()
    for (let at = 0; at < 65_600; at += 1) {
      const stream = opener.open(get('/'), 'request', true, listener().handler)!
      assert.notEqual(stream.id, first.id)
      seen.add(stream.id)
      stream.reset(RESET.cancelled)
    }
    assert.deepEqual([seen.size, Math.min(...seen), Math.max(...seen)], [65_534, 2, 65_535])
    assert.deepEqual(accepted[0]?.stream.isOver, false)
  })

  test('sends a short piece in the next message rather than cut it', () => {
    const { opener } = pair()
    const stream = opener.open({ ...get('/'), method: 'PUT' }, 'request', false, listener().handler)!
    while (opener.pull(2_048));
    stream.write(Buffer.alloc(2_000))
    const lengths = [1_200, 1_200, 1_200].map((limit) => opener.pull(limit)?.length ?? 0)
    assert.deepEqual(lengths, [8 + 1_024, 8 + 976, 0])
  })
})
