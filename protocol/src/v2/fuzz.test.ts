import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseDeviceControl, parseServerControl } from './control-codec.ts'
import { createMux } from './create-mux.ts'
import { createFrameReader, encodeFrame } from './frame-codec.ts'
import { FRAME, RESET, V2_LIMITS, type FrameType } from './frames.ts'
import { encodeRequestHead, encodeResponseHead, encodeTrailers } from './header-block.ts'
import type { Mux, MuxStream, StreamHandler } from './mux.ts'

/** mulberry32: the same numbers for the same seed, everywhere. */
function numbers(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    below: (limit: number) => Math.floor(next() * limit),
    isOneIn: (count: number) => next() * count < 1,
    pick: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!,
  }
}
type Numbers = ReturnType<typeof numbers>

const TYPES = Object.values(FRAME)
const MAX_STREAMS = 8
const WINDOW = 2_048
const BUDGET = 8_192

const latin1 = (octets: string | null) => Buffer.from(octets ?? '', 'latin1')
const heads = [
  latin1(encodeRequestHead({ method: 'GET', path: '/', headers: ['accept', '*/*'] })),
  latin1(encodeRequestHead({ method: 'BREW', path: '/pot', headers: ['x-own', 'y'] })),
  latin1(encodeResponseHead({ status: 200, headers: ['content-type', 'text/html'] })),
  latin1(encodeResponseHead({ status: 101, headers: [] })),
  latin1(encodeTrailers(['sum', '1'])),
  Buffer.from('{"type":"metrics","items":[{"type":"t","value":1}]}'),
  Buffer.from('{"token":"x"}'),
]

function payloadFor(type: FrameType, { below, pick, isOneIn }: Numbers): Uint8Array {
  if (isOneIn(200)) return randomBytes(below(40), below)
  if (type === FRAME.req || type === FRAME.wsOpen) return pick(heads.slice(0, 2))
  if (type === FRAME.resp) return pick(heads.slice(2, 4))
  if (type === FRAME.end) return isOneIn(2) ? Buffer.alloc(0) : heads[4]!
  if (type === FRAME.data || type === FRAME.wsMsg)
    return Buffer.alloc(isOneIn(200) ? below(4_000) : below(300))
  if (type === FRAME.rst) return Buffer.from([0, below(14), 0x41])
  if (type === FRAME.wsClose) return Buffer.from([3, 0xe8])
  if (type === FRAME.ping || type === FRAME.pong) return Buffer.alloc(below(9))
  if (type === FRAME.credit) return Buffer.from([isOneIn(300) ? 0x7f : 0, 0, below(256), below(256)])
  return pick(heads.slice(5))
}

function randomBytes(length: number, below: Numbers['below']): Buffer {
  return Buffer.from(Array.from({ length }, () => below(256)))
}

/** A frame that a peer without manners may send; mostly it is plausible, so that it gets far. */
function hostileFrame(random: Numbers, { isOpener, live, freshId }: Subject, seq: number) {
  const { below, pick, isOneIn } = random
  const likely: FrameType[] = isOpener
    ? [FRAME.resp, FRAME.data, FRAME.data, FRAME.end, FRAME.credit, FRAME.rst, FRAME.wsMsg, FRAME.wsClose]
    : [FRAME.req, FRAME.req, FRAME.wsOpen, FRAME.data, FRAME.data, FRAME.end, FRAME.credit, FRAME.rst]
  const type = isOneIn(300) ? pick(TYPES) : live.size === 0 && !isOpener ? FRAME.req : pick(likely)
  const payload = payloadFor(type, random)
  const isConnection = type === FRAME.ping || type === FRAME.pong || (type === FRAME.credit && isOneIn(3))
  const isOpening = type === FRAME.req || type === FRAME.wsOpen
  const usual = isOpening && !isOpener ? freshId() : ([...live][below(live.size)] ?? 1)
  const stream = isConnection || isOneIn(2_000) ? 0 : isOneIn(1_000) ? below(65_536) : usual
  const whole =
    type === FRAME.credit && stream === 0 ? Buffer.concat([payload, Buffer.from([0, below(3)])]) : payload
  const flags = type === FRAME.end ? 1 : isOneIn(2_000) ? below(256) : isOneIn(6) ? 1 : 0
  const isFinLess =
    [FRAME.credit, FRAME.rst, FRAME.wsClose, FRAME.wsOpen].includes(type as never) || stream === 0
  const bytes = encodeFrame(type, whole, {
    flags: isFinLess && !isOneIn(2_000) ? 0 : flags,
    stream,
    seq: stream === 0 ? 0 : isOneIn(5_000) ? below(65_536) : seq,
  })
  return { bytes, isCounted: stream !== 0 }
}

interface Subject {
  readonly mux: Mux
  readonly isOpener: boolean
  /** Ids of streams that are open. */
  readonly live: Set<number>
  freshId(): number
  /** Opens streams up to the limit. */
  refill(): void
  /** Handlers that heard something after their end, or `over` twice. */
  readonly broken: string[]
}

/** A mux whose owner opens, reads, answers and gives up at random. It never writes bodies: what goes out is manners. */
function subject(random: Numbers, isOpener: boolean): Subject {
  const broken: string[] = []
  const live = new Set<number>()
  let lastId = 0
  const listener = (stream: () => MuxStream | null): StreamHandler => {
    let isEnded = false
    let overs = 0
    const ensure = (what: string) => isEnded && broken.push(`${what} after the end`)
    const read = (bytes: Uint8Array) => {
      ensure('bytes')
      if (!random.isOneIn(5)) stream()?.consumed(bytes.length)
      if (random.isOneIn(60)) {
        isEnded = true
        stream()?.reset(RESET.cancelled)
      }
    }
    const finish = (what: string) => {
      ensure(what)
      isEnded = true
    }
    return {
      head: () => void ensure('head'),
      data: read,
      message: read,
      end: () => finish('end'),
      closed: () => finish('closed'),
      reset: () => {
        isEnded = true
      },
      writable() {},
      over: () => {
        if ((overs += 1) > 1) broken.push('over twice')
        live.delete(stream()?.id ?? 0)
      },
    }
  }
  const mux = createMux({
    role: isOpener ? 'opener' : 'acceptor',
    maxStreams: MAX_STREAMS,
    maxChunk: 1_024,
    sendWindow: { stream: WINDOW, connection: BUDGET },
    receiveWindow: { stream: WINDOW, connection: BUDGET },
    isResumable: random.isOneIn(2),
    wake() {},
    control: (type, payload) => {
      parseDeviceControl(type, payload)
      parseServerControl(type, payload)
    },
    accept: (_request, stream, kind) => {
      if (random.isOneIn(3))
        stream.respond({ status: kind === 'websocket' ? 101 : 204, headers: [] }, random.isOneIn(2))
      if (random.isOneIn(4)) stream.end()
      live.add(stream.id)
      return listener(() => stream)
    },
  })
  const refill = () => {
    if (!isOpener) return
    while (mux.size < MAX_STREAMS) {
      let stream: MuxStream | null = null
      const kind = random.isOneIn(4) ? 'websocket' : 'request'
      const head = { method: 'GET', path: '/', headers: [] }
      stream = mux.open(
        head,
        kind,
        random.isOneIn(2),
        listener(() => stream),
      )
      if (stream) live.add(stream.id)
    }
  }
  return { mux, isOpener, live, freshId: () => (lastId += 1) & 0xffff, refill, broken }
}

function drain(mux: Mux): number {
  let bytes = 0
  for (let message = mux.pull(4_096); message; message = mux.pull(4_096)) bytes += message.length
  return bytes
}

/** Feeds `frames` frames to muxes of one role, a new one after each fault. Answers what came in and went out. */
function attack(seed: number, frames: number, isOpener: boolean, isReading: boolean) {
  const random = numbers(seed)
  let [bytesIn, bytesOut, fed, faults, maxHeld] = [0, 0, 0, 0, 0]
  while (fed < frames) {
    const target = subject(random, isOpener)
    const { mux, broken } = target
    let seq = 0
    let fault = null
    while (!fault && fed < frames) {
      if (isReading || seq === 0) {
        target.refill()
        drain(mux)
      }
      if (isOpener && target.live.size === 0) break
      const message: Uint8Array[] = []
      for (let at = random.below(6); at >= 0; at -= 1) {
        const next = hostileFrame(random, target, (seq + 1) & 0xffff)
        if (next.isCounted) seq = (seq + 1) & 0xffff
        message.push(next.bytes)
      }
      fed += message.length
      const bytes = Buffer.concat(message)
      fault = mux.receive(random.isOneIn(2_000) ? bytes.subarray(0, random.below(bytes.length)) : bytes)
      bytesIn += bytes.length
      if (isReading) bytesOut += drain(mux)
      maxHeld = Math.max(maxHeld, mux.heldBytes)
      assert.ok(mux.size <= 2 * MAX_STREAMS + 16)
      if (fed % 8 === 0) assert.deepEqual(mux.invariants(), [])
    }
    assert.deepEqual(broken, [])
    if (!isReading) bytesOut += drain(mux)
    if (fault) {
      faults += 1
      assert.equal(mux.receive(Buffer.alloc(0)), fault)
    }
    mux.closeAll(RESET.protocol)
    assert.deepEqual([mux.size, mux.heldBytes, mux.pull(1_024)], [0, 0, null])
  }
  return { seed, fed, faults, bytesIn, bytesOut, maxHeld }
}

suite('hostile frames', () => {
  for (const [seed, isOpener, isReading] of [
    [101, true, true],
    [102, false, true],
    [103, true, false],
    [104, false, false],
  ] as const) {
    const who = `${isOpener ? 'the opener' : 'the acceptor'}${isReading ? '' : ', with nobody reading,'}`
    test(`T6: 250,000 of them leave ${who} whole, small and quiet (seed ${seed})`, (t) => {
      const found = attack(seed, 250_000, isOpener, isReading)
      t.diagnostic(JSON.stringify(found))
      assert.ok(found.faults > 50 && found.fed / found.faults > 10, 'frames neither too mad nor too tame')
      assert.ok(found.bytesOut <= 10 * found.bytesIn, `${found.bytesOut} bytes out for ${found.bytesIn} in`)
      // What is not acknowledged on a resumable session: bounded, see sent-frames.ts.
      assert.ok(found.maxHeld <= BUDGET + 131_072 + V2_LIMITS.maxPayload, `${found.maxHeld} bytes held`)
    })
  }

  test('T6: 50,000 messages of random bytes are faults, not exceptions (seed 105)', () => {
    const random = numbers(105)
    for (let at = 0; at < 50_000; at += 1) {
      const { mux } = subject(random, at % 2 === 0)
      const bytes = randomBytes(random.below(60), random.below)
      if (bytes.length > 8) bytes[1] = bytes[2] = bytes[6] = 0
      mux.receive(bytes)
    }
  })

  test('a stream of random bytes holds one frame at most (seed 106)', () => {
    const random = numbers(106)
    const reader = createFrameReader()
    for (let at = 0; at < 20_000; at += 1) {
      reader.push(randomBytes(random.below(200), random.below), () => !random.isOneIn(3))
      assert.ok(reader.heldBytes < V2_LIMITS.headerBytes + V2_LIMITS.maxPayload)
    }
  })
})
