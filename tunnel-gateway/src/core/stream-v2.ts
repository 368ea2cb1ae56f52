/** One request on a v2 tunnel: the user's end, and the device's on a stream of the mux. Pure. */
import { RESET } from '@wmoc/protocol/v2/frames'
import type { ResetCode } from '@wmoc/protocol/v2/frames'
import { QUEUE_MARKS } from '@wmoc/protocol/v2/mux'
import type { HeaderList, MuxStream, ResponseHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import { isEventStream } from './exchanges.ts'
import type { Exchange } from './exchanges.ts'
import { blockOf } from './header-names.ts'
import { createMessageBuilder } from './message-builder.ts'
import type { MessageBuilder } from './message-builder.ts'
import type { HeaderBlock } from './header-names.ts'
import type { StreamsV2 } from './streams-v2.ts'
import type { StreamFailure, StreamSink, UpstreamRequest, UpstreamStream } from './upstream.ts'

/** What a user's connection buffers without saying when it is gone; counts as taken. */
const TAKEN_BYTES = 65_536
/** For the device's answer to a close of its WebSocket. */
const CLOSE_MS = 5_000

const FAILURES: Partial<Record<ResetCode, StreamFailure>> = {
  [RESET.timeout]: 'device_timeout',
  [RESET.refused]: 'overloaded',
  [RESET.overloaded]: 'overloaded',
  [RESET.disconnected]: 'device_disconnected',
}

/** The device's end. What it holds: bytes that no credit was given back for, and a message that is not whole. */
export class StreamV2 implements Exchange, StreamHandler {
  readonly sink: StreamSink
  readonly openedAt: number
  state: Exchange['state'] = 'queued'
  since: number
  isLong = false
  readonly isLate: boolean
  isWebSocket = false
  user: UserEnd | null = null
  mux: MuxStream | null = null
  /** The user closed the WebSocket; the device has yet to. 0: not. */
  closingSince = 0
  readonly #streams: StreamsV2
  /** What the device hears when this side ends the stream. */
  #why: ResetCode = RESET.cancelled
  #withheld = 0
  #lastBuffered = 0
  #builder: MessageBuilder | null = null

  constructor(streams: StreamsV2, sink: StreamSink, now: number, isLate: boolean) {
    this.isLate = isLate
    this.#streams = streams
    this.sink = sink
    this.openedAt = now
    this.since = now
  }

  get now(): number {
    return this.#streams.ports.now()
  }
  get #isAwaited(): boolean {
    return this.state === 'waiting' || this.state === 'streaming'
  }

  /** The device has room. */
  start(): void {
    const { head, kind, isLast } = this.user!.begin()
    this.mux = this.#streams.ports.mux.open(head, kind, isLast, this)
    // It was promised room: this is a head that can't be said in this dialect, and nothing was sent.
    if (this.mux === null) this.#end('not_supported', true)
    else this.user!.catchUp(this.mux)
  }

  /** Tells the device to stop. */
  abandon(): void {
    this.mux?.reset(this.#why)
    this.#builder = null
  }

  cancel(): void {
    this.#streams.exchanges.cancel(this, this.now)
  }

  /** Gives back credit for what the user's connection took. */
  giveCredit(): void {
    if (this.#withheld === 0 || this.mux === null) return
    const buffered = this.sink.bufferedBytes()
    const kept = buffered > TAKEN_BYTES ? Math.min(buffered, this.#withheld) : 0
    if (kept === this.#withheld) return
    this.mux.consumed(this.#withheld - kept)
    this.#withheld = kept
  }

  /** A device that may not send, or waits for the user's body, is not late; a user who takes nothing is. */
  tick(now: number, idleTimeoutMs: number): void {
    if (!this.#isAwaited) return
    if (this.closingSince > 0 && now - this.closingSince > CLOSE_MS) return this.cancel()
    this.giveCredit()
    if (this.user!.hasMoved()) this.since = now
    const buffered = this.#withheld === 0 ? 0 : this.sink.bufferedBytes()
    if (buffered > 0 && buffered >= this.#lastBuffered && now - this.since > idleTimeoutMs)
      this.#end('slow_reader', false, RESET.slowReader)
    else if (buffered < this.#lastBuffered) this.since = now
    this.#lastBuffered = buffered
  }

  #end(failure: StreamFailure, isOver: boolean, why: ResetCode = RESET.cancelled): void {
    this.#why = why
    this.#builder = null
    this.#streams.exchanges.fail(this, failure, this.now, isOver)
  }

  /** The user has all of it; the slot is free once the device has all of the request too, or gave up on it. */
  #release(): void {
    this.#streams.exchanges.release(this, this.now)
    if (!this.user!.isSent) this.mux?.reset(RESET.cancelled)
  }

  // What the device says.

  head(head: ResponseHead, isLast: boolean): void {
    if (!this.#isAwaited) return
    this.isWebSocket = head.status === 101 && !isLast
    const given = { status: head.status, list: head.headers }
    if (!this.sink.head(given, isLast)) return this.#end('bad_device_response', false, RESET.badResponse)
    this.isLong = this.isWebSocket || (!isLast && isEventStream(given))
    this.#streams.exchanges.heard(this, this.now)
  }

  data(bytes: Uint8Array): void {
    if (!this.#isAwaited) return
    this.#streams.exchanges.heard(this, this.now)
    this.#withheld += bytes.length
    if (bytes.length > 0) this.sink.data(bytes)
    this.giveCredit()
  }

  end(trailers: HeaderList | null): void {
    if (!this.#isAwaited) return
    this.#release()
    this.sink.end(trailers === null ? undefined : blockOf(trailers))
  }

  message(bytes: Uint8Array, isBinary: boolean, isLast: boolean): void {
    if (!this.#isAwaited) return
    this.#streams.exchanges.heard(this, this.now)
    this.#builder ??= createMessageBuilder()
    const message = this.#builder.add(bytes, isLast)
    if (message === undefined) return this.#breakOff(1009, 'message too big')
    // A message longer than the window could never be completed without.
    if (message === null) return this.mux!.consumed(bytes.length)
    this.#withheld += bytes.length
    this.sink.message(message, isBinary)
    this.giveCredit()
  }

  closed(code: number, reason: string): void {
    if (!this.#isAwaited) return
    if (!this.user!.isSent) this.mux!.close(code, '')
    this.user!.isSent = true
    this.#release()
    this.sink.closed(code, reason)
  }

  /** The device broke the rules of WebSocket. */
  #breakOff(code: number, reason: string): void {
    this.#why = RESET.protocol
    this.cancel()
    this.sink.closed(code, reason)
  }

  reset(code: ResetCode): void {
    // The slot is free once the mux says `over`.
    if (this.#isAwaited) this.#end(FAILURES[code] ?? 'bad_device_response', false)
  }

  writable(): void {
    if (this.#isAwaited) this.user!.wake()
  }

  over(): void {
    if (this.state !== 'over') this.#streams.exchanges.finish(this, this.now)
  }
}

/** The user's end. What it holds: what the user sent before the device had room. */
export class UserEnd implements UpstreamStream {
  /** The user's direction has ended. */
  isSent: boolean
  readonly #stream: StreamV2
  #request: UpstreamRequest | null
  #early: Uint8Array[] | null = null
  #written = 0
  #gone = 0
  #trailers: HeaderList | undefined
  #isWaiting = false

  constructor(stream: StreamV2, request: UpstreamRequest) {
    this.#stream = stream
    this.#request = request
    this.isSent = request.kind === 'bodiless'
    stream.user = this
  }

  /** The head, once. */
  begin() {
    const { method, path, headers, kind } = this.#request!
    this.#request = null
    const isLast = this.isSent && this.#early === null && this.#trailers === undefined
    const head = { method, path, headers }
    return { head, kind: kind === 'websocket' ? ('websocket' as const) : ('request' as const), isLast }
  }

  catchUp(mux: MuxStream): void {
    const early = this.#early
    this.#early = null
    if (early !== null) for (const bytes of early) mux.write(bytes)
    if (this.isSent && (early !== null || this.#trailers !== undefined)) mux.end(this.#trailers)
    if (mux.queuedBytes <= QUEUE_MARKS.high) this.wake()
  }

  /** Bytes of a body that waits for a slot. */
  get earlyBytes(): number {
    return this.#early === null ? 0 : this.#written
  }

  /** Since the last call bytes went to the device, or the user still owes some. */
  hasMoved(): boolean {
    const queued = this.#stream.mux?.queuedBytes ?? 0
    const gone = this.#written - queued
    const hasMoved = gone !== this.#gone || (!this.isSent && !this.#stream.isWebSocket && queued === 0)
    this.#gone = gone
    return hasMoved
  }

  wake(): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.#stream.sink.writable()
  }

  write(bytes: Uint8Array): boolean {
    const { mux, state } = this.#stream
    if (this.isSent || bytes.length === 0 || state === 'cancelled' || state === 'over') return true
    this.#written += bytes.length
    if (mux === null) {
      this.#early ??= []
      this.#early.push(bytes)
    } else mux.write(bytes)
    this.#isWaiting = (mux?.queuedBytes ?? this.#written) > QUEUE_MARKS.high
    return !this.#isWaiting
  }

  end(trailers?: HeaderBlock): void {
    if (this.isSent) return
    this.isSent = true
    this.#trailers = trailers === undefined ? undefined : listOf(trailers)
    this.#stream.mux?.end(this.#trailers)
  }

  message(bytes: Uint8Array, isBinary: boolean): boolean {
    const { mux, isWebSocket } = this.#stream
    if (mux === null || !isWebSocket || this.isSent) return true
    this.#written += bytes.length
    mux.message(bytes, isBinary)
    this.#isWaiting = mux.queuedBytes > QUEUE_MARKS.high
    return !this.#isWaiting
  }

  close(code: number, reason: string): void {
    if (!this.#stream.isWebSocket || this.isSent) return
    this.isSent = true
    this.#stream.closingSince = this.#stream.now
    this.#stream.mux?.close(code, reason)
  }

  cancel(): void {
    this.#early = null
    this.#stream.cancel()
  }

  drained(): void {
    this.#stream.giveCredit()
  }
}

function listOf(block: HeaderBlock): string[] {
  const list: string[] = []
  for (const name in block) {
    const value = block[name]!
    const lower = name.toLowerCase()
    if (typeof value === 'string') list.push(lower, value)
    else for (const one of value) list.push(lower, one)
  }
  return list
}
