/** The answering half of a request that went to another shard: its frames become calls of the user's sink. */
import { RESET } from '@wmoc/protocol/v2/frames'
import type { ResetCode } from '@wmoc/protocol/v2/frames'
import type { HeaderList, MuxStream, ResponseHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import type { StreamFailure, StreamSink } from '#src/core/upstream.ts'
import { failureOf, unpackResponse, unpackTrailers } from './head-codec.ts'
import { createMessageBuilder } from '#src/core/message-builder.ts'
import type { MessageBuilder } from '#src/core/message-builder.ts'

/** While the user's connection holds more than this, the other shard gets no credit. */
const USER_BUFFER_BYTES = 65_536

/** The asking half, as the answer sees it. */
export interface Asking {
  taken(): void
  over(): void
  notHere(): boolean
}

export class RemoteAnswer implements StreamHandler {
  stream: MuxStream | null = null
  readonly #asking: Asking
  readonly #sink: StreamSink
  #isOver = false
  /** Bytes that the other shard got no credit for yet. */
  #uncredited = 0
  #builder: MessageBuilder | null = null

  constructor(asking: Asking, sink: StreamSink) {
    this.#asking = asking
    this.#sink = sink
  }

  head(given: ResponseHead, isLast: boolean): void {
    if (this.#isOver) return
    this.#asking.taken()
    const head = unpackResponse(given)
    if (head === null || !this.#sink.head(head, isLast)) this.#refuse('bad_device_response')
  }

  data(bytes: Uint8Array): void {
    if (this.#isOver || bytes.length === 0) return
    this.#uncredited += bytes.length
    this.#sink.data(bytes)
    this.credit()
  }

  end(trailers: HeaderList | null): void {
    if (this.#isOver) return
    this.#finish()
    this.#sink.end(unpackTrailers(trailers))
  }

  message(bytes: Uint8Array, isBinary: boolean, isLast: boolean): void {
    if (this.#isOver) return
    this.#uncredited += bytes.length
    this.#builder ??= createMessageBuilder()
    const whole = this.#builder.add(bytes, isLast)
    if (whole === undefined) return this.#refuse('bad_device_response')
    if (whole !== null) this.#sink.message(whole, isBinary)
    this.credit()
  }

  closed(code: number, reason: string): void {
    if (this.#isOver) return
    this.#finish()
    this.#sink.closed(code, reason)
  }

  reset(code: ResetCode): void {
    if (this.#isOver) return
    if (code === RESET.notHere && this.#asking.notHere()) {
      this.#isOver = true
      return
    }
    this.#finish()
    this.#sink.fail(failureOf(code))
  }

  writable(): void {
    // The asking half goes by what has left the link.
  }

  /** The user's connection may have taken something: the other shard may send as much again. */
  credit(): void {
    if (this.#uncredited === 0 || this.#isOver) return
    if (this.#sink.bufferedBytes() > USER_BUFFER_BYTES) return
    this.stream!.consumed(this.#uncredited)
    this.#uncredited = 0
  }

  /** The user went away. */
  abandon(): void {
    if (this.#isOver) return
    this.#finish()
    this.stream?.reset(RESET.cancelled)
  }

  #refuse(failure: StreamFailure): void {
    this.abandon()
    this.#sink.fail(failure)
  }

  #finish(): void {
    this.#isOver = true
    // What the stream still holds of the link's credit goes back, whoever read it.
    this.stream?.consumed(this.#uncredited)
    this.#uncredited = 0
    this.#asking.over()
  }
}
