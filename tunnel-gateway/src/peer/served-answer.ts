/** The answering half of a request for another shard: what the device's side says becomes frames. */
import { CLOSE } from '@wmoc/protocol/close-codes'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { ResetCode } from '@wmoc/protocol/v2/frames'
import type { Span } from '@wmoc/platform/tracing'
import type { MuxStream, ResponseHead } from '@wmoc/protocol/v2/mux'
import { bytesPassed } from '#src/buffer-garbage.ts'
import type { HeaderBlock } from '#src/core/header-names.ts'
import { eventTail, isBetweenEvents } from '#src/core/response-events.ts'
import type { DeviceHead, StreamFailure, StreamSink } from '#src/core/upstream.ts'
import { packResponse, packTrailers, resetOf } from './head-codec.ts'
import type { FlushListener, PeerLink } from './link.ts'

/** The asking half, as the answer sees it. */
export interface Served {
  credit(): void
  drained(): void
  cancel(): void
}

const SWITCHING_PROTOCOLS = 101

export class ServedAnswer implements StreamSink, FlushListener {
  isOver = false
  /** While the tunnel's stream is being opened nothing has reached the device yet. */
  isBeforeDevice = false
  /** Ends with the answer. */
  span: Span | null = null
  readonly #served: Served
  readonly #stream: MuxStream
  readonly #link: PeerLink
  #isWaiting = false
  #queuedBytes = 0
  readonly #endless: Set<ServedAnswer>
  #kind: 'events' | 'websocket' | null = null
  /** Of an event stream, see `eventTail`. */
  #tail = ''
  #isLeaving = false

  constructor(served: Served, stream: MuxStream, link: PeerLink, endless: Set<ServedAnswer>) {
    this.#served = served
    this.#stream = stream
    this.#link = link
    this.#endless = endless
  }

  head(head: DeviceHead): boolean {
    if (this.isOver) return true
    const packed = packResponse(head)
    if (packed === null) return false
    // What is at hand of the body leaves with it, so the other side sees by itself whether the answer is whole.
    this.#stream.respond(packed, false)
    this.#kind = endlessKind(packed)
    if (this.#kind !== null) this.#endless.add(this)
    return true
  }

  data(bytes: Uint8Array): void {
    if (this.isOver) return
    bytesPassed(bytes.length)
    this.#stream.write(bytes)
    this.#awaitFlush()
    if (this.#kind === null) return
    this.#tail = eventTail(this.#tail, bytes)
    if (this.#isLeaving) this.leave()
  }

  /** This shard leaves: ends an event stream between two events, at once or after the one under way; closes a WebSocket. */
  leave(): void {
    this.#isLeaving = true
    if (this.isOver || (this.#kind === 'events' && !isBetweenEvents(this.#tail))) return
    if (this.#kind === 'websocket') this.closed(CLOSE.restart.code, CLOSE.restart.reason)
    else this.end()
    // Not at once: it may be the stream itself that is calling.
    process.nextTick(() => this.#served.cancel())
  }

  /** Nothing more is sent. */
  over(error?: string): void {
    this.isOver = true
    this.span?.end(error)
    this.#endless.delete(this)
  }

  end(trailers?: HeaderBlock): void {
    if (this.isOver) return
    this.over()
    this.#stream.end(packTrailers(trailers))
  }

  fail(failure: StreamFailure): void {
    const isUnseen = this.isBeforeDevice && failure === 'device_disconnected'
    this.refuse(isUnseen ? RESET.notHere : resetOf(failure))
  }

  refuse(code: ResetCode): void {
    if (this.isOver) return
    this.over(`reset_${code}`)
    this.#stream.reset(code)
  }

  message(bytes: Uint8Array, isBinary: boolean): void {
    if (this.isOver) return
    this.#stream.message(bytes, isBinary)
    this.#awaitFlush()
  }

  closed(code: number, reason: string): void {
    if (this.isOver) return
    this.over()
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

function endlessKind({ status, headers }: ResponseHead): 'events' | 'websocket' | null {
  if (status === SWITCHING_PROTOCOLS) return 'websocket'
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'content-type')
  return at >= 0 && /^text\/event-stream\b/i.test(headers[at + 1]!) ? 'events' : null
}
