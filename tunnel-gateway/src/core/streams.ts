/**
 * Requests in flight on one v1 tunnel: a pure machine. Requests, device messages and time come in; messages to the
 * device go out through `send`, and what the user gets through the stream's sink. A device never holds more requests
 * than it said it can; the next ones wait in a bounded queue.
 */
import type { HttpResponse, HttpResponseChunk } from '@wmoc/protocol/messages'
import { decodeBody } from '@wmoc/protocol/v1-body'
import { serialise } from '@wmoc/protocol/v1-codec'
import { Exchanges, isEventStream } from './exchanges.ts'
import type { Exchange, ExchangePorts, ExchangeRules } from './exchanges.ts'
import type { StreamFailure, StreamSink } from './upstream.ts'

export interface StreamRequest {
  /** 128 random bits: a device cannot guess another request's id. */
  readonly id: string
  /** The whole `http_request` message. */
  readonly message: string
  readonly isLate?: boolean
}

export interface StreamRules extends ExchangeRules {
  /** Bytes of one message's body. */
  readonly maxBodyBytes: number
  /** A user who reads slower than the device sends: from here on the tunnel waits. */
  readonly pauseBytes: number
  readonly resumeBytes: number
  /** A stream that still grows beyond this, or holds the tunnel for `maxPauseMs`, is cut. */
  readonly maxBufferedBytes: number
  readonly maxPauseMs: number
}

export interface StreamPorts {
  send(message: string): void
  /** Reading from the device stops (true) or goes on (false). */
  pause(isPaused: boolean): void
  /** Something that an honest device does not send; `kind` is a metric label. */
  oddity(kind: 'unknown_id' | 'out_of_order' | 'bad_body'): void
  /** A user waits for one answer less. */
  settled(): void
}

interface Stream extends Omit<StreamRequest, 'isLate'>, Exchange {}

/** A tunnel's streams; empty at first. All times are milliseconds of one monotonic clock. */
export class Streams implements ExchangePorts<Stream> {
  readonly #rules: StreamRules
  readonly #ports: StreamPorts
  readonly #byId = new Map<string, Stream>()
  readonly exchanges: Exchanges<Stream>
  #pausedSince: number | null = null

  constructor(rules: StreamRules, ports: StreamPorts) {
    this.#rules = rules
    this.#ports = ports
    this.exchanges = new Exchanges(rules, this)
  }

  start(stream: Stream): void {
    this.#ports.send(stream.message)
  }

  abandon(stream: Stream): void {
    this.#ports.send(serialise({ type: 'http_cancel', id: stream.id }))
  }

  unanswered(stream: Stream): void {
    this.#byId.delete(stream.id)
  }

  settled(): void {
    this.#ports.settled()
  }

  /** False when the queue is full; nothing was kept. */
  open({ id, message, isLate = false }: StreamRequest, sink: StreamSink, now: number): boolean {
    const state = 'queued'
    const stream: Stream = { id, message, sink, openedAt: now, state, since: now, isLong: false, isLate }
    if (!this.exchanges.hasRoom) return false
    this.#byId.set(id, stream)
    return this.exchanges.open(stream, now)
  }

  /** A device's `http_response` or `http_response_chunk`. */
  receive(message: HttpResponse | HttpResponseChunk, now: number): void {
    const stream = this.#byId.get(message.id)
    if (stream === undefined || stream.state === 'queued') return this.#ports.oddity('unknown_id')
    if (stream.state === 'cancelled') {
      if (message.more !== true) this.#finish(stream, now)
      return
    }
    const isHead = message.type === 'http_response'
    // The first answer counts.
    if (isHead && stream.state === 'streaming') return this.#ports.oddity('out_of_order')
    if (!isHead && stream.state === 'waiting') {
      this.#ports.oddity('out_of_order')
      return this.#fail(stream, 'bad_device_response', now, !message.more)
    }
    this.#take(stream, message, now)
    if (this.#pausedSince !== null) this.drained()
  }

  #take(stream: Stream, message: HttpResponse | HttpResponseChunk, now: number): void {
    const isLast = message.more !== true
    const bytes = decodeBody(message)
    if (bytes === null || bytes.length > this.#rules.maxBodyBytes) {
      this.#ports.oddity('bad_body')
      return this.#fail(stream, 'bad_device_response', now, isLast)
    }
    if (message.type === 'http_response') {
      if (!stream.sink.head(message, isLast)) return this.#fail(stream, 'bad_device_response', now, isLast)
      stream.isLong = !isLast && isEventStream(message)
    }
    this.exchanges.heard(stream, now)
    if (bytes.length > 0) stream.sink.data(bytes)
    if (isLast) {
      this.#finish(stream, now)
      stream.sink.end()
    } else this.#checkBuffer(stream, now)
  }

  #checkBuffer(stream: Stream, now: number): void {
    const buffered = stream.sink.bufferedBytes()
    if (buffered > this.#rules.maxBufferedBytes) this.#fail(stream, 'slow_reader', now, false)
    else if (buffered > this.#rules.pauseBytes && this.#pausedSince === null) {
      this.#pausedSince = now
      this.#ports.pause(true)
    }
  }

  #finish(stream: Stream, now: number): void {
    this.#byId.delete(stream.id)
    this.exchanges.finish(stream, now)
  }

  #fail(stream: Stream, failure: StreamFailure, now: number, isOver: boolean): void {
    if (isOver) this.#byId.delete(stream.id)
    this.exchanges.fail(stream, failure, now, isOver)
  }

  #isBehind(stream: Stream): boolean {
    return stream.state === 'streaming' && stream.sink.bufferedBytes() > this.#rules.resumeBytes
  }

  /** The user went away; `fail` is not called. */
  cancel(id: string, now: number): void {
    const stream = this.#byId.get(id)
    if (stream === undefined) return
    this.exchanges.cancel(stream, now)
    if (stream.state === 'over') this.#byId.delete(id)
    this.drained()
  }

  /** The user's connection took bytes. */
  drained(): void {
    if (this.#pausedSince === null) return
    for (const stream of this.exchanges.active) if (this.#isBehind(stream)) return
    this.#pausedSince = null
    this.#ports.pause(false)
  }

  /** Ends what waited too long. To be called about every second while there are requests. */
  tick(now: number): void {
    // Nobody is idle while nothing is read from the device.
    if (this.#pausedSince !== null) {
      for (const stream of this.exchanges.active) if (stream.state === 'streaming') stream.since = now
    }
    this.exchanges.tick(now)
    for (const [id, { state }] of this.#byId) if (state === 'over') this.#byId.delete(id)
    this.drained()
    if (this.#pausedSince === null || now - this.#pausedSince <= this.#rules.maxPauseMs) return
    for (const stream of this.exchanges.active)
      if (this.#isBehind(stream)) this.#fail(stream, 'slow_reader', now, false)
    this.drained()
  }

  /** The tunnel is gone: settles every request. */
  closeAll(failure: StreamFailure): void {
    this.#byId.clear()
    this.#pausedSince = null
    this.exchanges.closeAll(failure)
  }

  get isPaused(): boolean {
    return this.#pausedSince !== null
  }

  /** What must always hold; empty when it does. */
  invariants(): string[] {
    const broken = this.exchanges.invariants()
    if (this.#byId.size !== this.exchanges.size) broken.push('ids and requests differ in number')
    return broken
  }
}
