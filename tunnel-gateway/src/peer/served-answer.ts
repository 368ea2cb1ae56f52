/** The answering half of a request for another shard: what the device's side says becomes frames. */
import { RESET } from '@wmoc/protocol/v2/frames'
import type { ResetCode } from '@wmoc/protocol/v2/frames'
import type { MuxStream } from '@wmoc/protocol/v2/mux'
import type { HeaderBlock } from '#src/core/request-headers.ts'
import type { DeviceHead, StreamFailure, StreamSink } from '#src/core/upstream.ts'
import { packResponse, packTrailers, resetOf } from './head-codec.ts'
import type { FlushListener, PeerLink } from './link.ts'

/** The asking half, as the answer sees it. */
export interface Served {
  credit(): void
  drained(): void
}

export class ServedAnswer implements StreamSink, FlushListener {
  isOver = false
  /** While the tunnel's stream is being opened nothing has reached the device yet. */
  isBeforeDevice = false
  readonly #served: Served
  readonly #stream: MuxStream
  readonly #link: PeerLink
  #isWaiting = false
  #queuedBytes = 0

  constructor(served: Served, stream: MuxStream, link: PeerLink) {
    this.#served = served
    this.#stream = stream
    this.#link = link
  }

  head(head: DeviceHead): boolean {
    if (this.isOver) return true
    const packed = packResponse(head)
    if (packed === null) return false
    // What is at hand of the body leaves with it, so the other side sees by itself whether the answer is whole.
    this.#stream.respond(packed, false)
    return true
  }

  data(bytes: Uint8Array): void {
    if (this.isOver) return
    this.#stream.write(bytes)
    this.#awaitFlush()
  }

  end(trailers?: HeaderBlock): void {
    if (this.isOver) return
    this.isOver = true
    this.#stream.end(packTrailers(trailers))
  }

  fail(failure: StreamFailure): void {
    const isUnseen = this.isBeforeDevice && failure === 'device_disconnected'
    this.refuse(isUnseen ? RESET.notHere : resetOf(failure))
  }

  refuse(code: ResetCode): void {
    if (this.isOver) return
    this.isOver = true
    this.#stream.reset(code)
  }

  message(bytes: Uint8Array, isBinary: boolean): void {
    if (this.isOver) return
    this.#stream.message(bytes, isBinary)
    this.#awaitFlush()
  }

  closed(code: number, reason: string): void {
    if (this.isOver) return
    this.isOver = true
    this.#stream.close(code, reason)
  }

  bufferedBytes(): number {
    return this.#stream.queuedBytes
  }

  writable(): void {
    this.#served.credit()
  }

  flushed(): boolean {
    const { queuedBytes } = this.#stream
    if (queuedBytes < this.#queuedBytes && !this.isOver) this.#served.drained()
    this.#queuedBytes = this.#stream.queuedBytes
    this.#isWaiting = this.#queuedBytes > 0
    return !this.#isWaiting
  }

  #awaitFlush(): void {
    this.#queuedBytes = this.#stream.queuedBytes
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#link.awaitFlush(this)
  }
}
