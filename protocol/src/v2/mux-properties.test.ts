import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createMux } from './create-mux.ts'
import { RESET } from './frames.ts'
import type { HeaderList, Mux, MuxOptions, MuxStream } from './mux.ts'

/** One direction of one stream: what was given to its writer, what came out at its reader. */
interface Flow {
  written: number
  read: number
  /** Read and not yet said to be consumed. */
  held: number
  isEnded: boolean
  hasHeardEnd: boolean
  trailers: HeaderList | null
}

interface Exchange {
  readonly number: number
  opener: MuxStream | null
  acceptor: MuxStream | null
  readonly up: Flow
  readonly down: Flow
  hasResponded: boolean
  isReset: boolean
  overs: number
}

const flow = (): Flow => ({
  written: 0,
  read: 0,
  held: 0,
  isEnded: false,
  hasHeardEnd: false,
  trailers: null,
})

/** Byte `at` of a flow: known to both sides, so that one that is lost, doubled or swapped shows. */
function pattern(number: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at += 1)
    bytes[at] = (number * 31 + (from + at) * 7 + ((from + at) >> 8)) & 0xff
  return bytes
}

class World {
  readonly exchanges: Exchange[] = []
  readonly opener: Mux
  readonly acceptor: Mux
  private readonly toAcceptor: Uint8Array[] = []
  private readonly toOpener: Uint8Array[] = []
  private readonly isResumable: boolean

  constructor(window: number, connection: number, maxChunk: number, isResumable: boolean) {
    this.isResumable = isResumable
    const options: Omit<MuxOptions, 'role'> = {
      maxStreams: 5,
      maxChunk,
      sendWindow: { stream: window, connection },
      receiveWindow: { stream: window, connection },
      isResumable,
      wake() {},
      control() {},
    }
    this.opener = createMux({ ...options, role: 'opener' })
    this.acceptor = createMux({
      ...options,
      role: 'acceptor',
      accept: (request, stream) => {
        const exchange = this.exchanges[Number(request.path.slice(1))]!
        exchange.acceptor = stream
        return this.handler(exchange, exchange.up)
      },
    })
  }

  open(): void {
    const exchange: Exchange = {
      number: this.exchanges.length,
      opener: null,
      acceptor: null,
      up: flow(),
      down: flow(),
      hasResponded: false,
      isReset: false,
      overs: 0,
    }
    const head = { method: 'POST', path: `/${exchange.number}`, headers: [] }
    exchange.opener = this.opener.open(head, 'request', false, this.handler(exchange, exchange.down))
    if (exchange.opener) this.exchanges.push(exchange)
  }

  private handler(exchange: Exchange, heard: Flow) {
    return {
      head() {},
      data: (bytes: Uint8Array) => {
        assert.ok(!heard.hasHeardEnd, 'bytes after the end')
        const sender = heard === exchange.up ? exchange.number : exchange.number + 1_000
        assert.deepEqual(Buffer.from(bytes), pattern(sender, heard.read, bytes.length))
        heard.read += bytes.length
        heard.held += bytes.length
      },
      end: (trailers: HeaderList | null) => {
        assert.ok(!heard.hasHeardEnd, 'ended twice')
        assert.equal(heard.read, heard.written, 'ended before everything came')
        assert.deepEqual(trailers, heard.trailers)
        heard.hasHeardEnd = true
      },
      reset: () => assert.ok(exchange.isReset, 'a reset that nobody asked for'),
      writable() {},
      over: () => void (exchange.overs += 1),
    }
  }

  /** `at` chooses among what is there; nothing to choose from: nothing happens. */
  step(action: number, at: number, amount: number): void {
    const exchange = this.exchanges[at % Math.max(1, this.exchanges.length)]
    if (action === 0) this.open()
    else if (action === 1 && exchange) this.write(exchange.opener, exchange.up, exchange.number, amount)
    else if (action === 2 && exchange) this.answer(exchange, amount)
    else if (action === 3 && exchange) this.end(exchange.opener, exchange.up, amount)
    else if (action === 4 && exchange?.hasResponded) this.end(exchange.acceptor, exchange.down, amount)
    else if (action === 5 && exchange) this.consume(exchange, amount)
    else if (action === 6) this.pull(this.opener, this.toAcceptor, amount)
    else if (action === 7) this.pull(this.acceptor, this.toOpener, amount)
    else if (action === 8) this.deliver(this.toAcceptor, this.acceptor)
    else if (action === 9) this.deliver(this.toOpener, this.opener)
    else if (action === 10 && exchange && amount % 4 === 0) this.reset(exchange, amount)
    else if (action === 11 && this.isResumable) this.lose()
    assert.deepEqual([...this.opener.invariants(), ...this.acceptor.invariants()], [])
  }

  private write(stream: MuxStream | null, to: Flow, sender: number, amount: number): void {
    if (!stream || to.isEnded) return
    stream.write(pattern(sender, to.written, amount))
    to.written += amount
  }

  private answer(exchange: Exchange, amount: number): void {
    const { acceptor } = exchange
    if (!acceptor) return
    if (!exchange.hasResponded) acceptor.respond({ status: 200, headers: [] }, false)
    exchange.hasResponded = true
    this.write(acceptor, exchange.down, exchange.number + 1_000, amount)
  }

  private end(stream: MuxStream | null, to: Flow, amount: number): void {
    if (!stream || to.isEnded) return
    to.isEnded = true
    if (amount % 3 === 0) to.trailers = ['sum', String(amount)]
    stream.end(to.trailers ?? undefined)
  }

  private consume(exchange: Exchange, amount: number): void {
    for (const [to, stream] of [
      [exchange.up, exchange.acceptor],
      [exchange.down, exchange.opener],
    ] as const) {
      const bytes = Math.min(to.held, amount)
      to.held -= bytes
      stream?.consumed(bytes)
    }
  }

  private reset(exchange: Exchange, amount: number): void {
    exchange.isReset = true
    const stream = amount % 8 === 0 ? exchange.opener : exchange.acceptor
    stream?.reset(RESET.cancelled, 'property')
  }

  private pull(from: Mux, channel: Uint8Array[], amount: number): void {
    const message = from.pull(64 + amount)
    if (message) channel.push(Buffer.from(message))
  }

  private deliver(channel: Uint8Array[], to: Mux): void {
    const message = channel.shift()
    if (message) assert.equal(to.receive(message), null)
  }

  private lose(): void {
    this.toAcceptor.length = this.toOpener.length = 0
    this.opener.suspend()
    this.acceptor.suspend()
    assert.ok(this.opener.resume(this.acceptor.lastSeq))
    assert.ok(this.acceptor.resume(this.opener.lastSeq))
  }

  /** Everybody ends, reads and carries on until nothing moves. */
  finish(): void {
    for (let round = 0; round < 3_000 && (this.opener.size > 0 || this.acceptor.size > 0); round += 1) {
      this.step(6, 0, 4_000)
      this.step(7, 0, 4_000)
      while (this.toAcceptor.length > 0) this.deliver(this.toAcceptor, this.acceptor)
      while (this.toOpener.length > 0) this.deliver(this.toOpener, this.opener)
      for (const exchange of this.exchanges) {
        this.consume(exchange, Infinity)
        this.end(exchange.opener, exchange.up, 1)
        this.answer(exchange, 1)
        this.end(exchange.acceptor, exchange.down, 1)
      }
    }
    assert.deepEqual([this.opener.size, this.acceptor.size], [0, 0], 'streams that never end')
    assert.deepEqual([...this.opener.invariants(), ...this.acceptor.invariants()], [])
    for (const { isReset, up, down, overs, acceptor } of this.exchanges) {
      if (!isReset) assert.deepEqual([up.hasHeardEnd, down.hasHeardEnd], [true, true])
      assert.equal(overs, acceptor ? 2 : 1)
    }
  }
}

const steps = fc.array(fc.tuple(fc.nat(11), fc.nat(7), fc.integer({ min: 1, max: 3_000 })), {
  minLength: 50,
  maxLength: 400,
  size: 'max',
})
const shape = fc.record({
  window: fc.constantFrom(256, 1_000, 4_096, 65_536),
  connection: fc.constantFrom(256, 3_000, 16_384, 200_000),
  maxChunk: fc.constantFrom(256, 1_024, 65_535),
})

function holds(isResumable: boolean, numRuns: number, seed: number): void {
  fc.assert(
    fc.property(shape, steps, ({ window, connection, maxChunk }, schedule) => {
      const world = new World(window, connection, maxChunk, isResumable)
      for (const [action, at, amount] of schedule) world.step(action, at, amount)
      world.finish()
    }),
    { numRuns, seed },
  )
}

suite('two muxes back to back, any schedule, any credits', () => {
  test('every byte arrives once and in order, every stream ends, nothing is held', () =>
    holds(false, 1_000, 71))

  test('also over losses of the connection that are resumed', () => holds(true, 1_000, 72))
})
