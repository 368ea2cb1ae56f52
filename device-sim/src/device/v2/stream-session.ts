/** The streams of one v2 session: they may live on for a moment when the line is lost, and go on over the next one. */
import { RESET, type FrameType } from '@wmoc/protocol/v2/frames'
import type { Welcome } from '@wmoc/protocol/v2/handshake'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import type { Mux } from '@wmoc/protocol/v2/mux'
import type { DialectOptions, SuspendedStreams } from '../dialect.ts'
import { acceptRequest } from './http-exchange.ts'
import { acceptSocket } from './socket-exchange.ts'

/** Bytes of body in one frame: small enough that a big download does not hold up a small answer. */
const CHUNK_BYTES = 16_384
/** Bytes of frames in one message. */
const MESSAGE_BYTES = 65_536

/** What stands around the streams now; another one after `resume`. */
export interface StreamHost {
  readonly options: DialectOptions
  control(type: FrameType, payload: Uint8Array): void
}

export class StreamSession implements SuspendedStreams {
  readonly id: string | null
  readonly shard: string | null
  readonly #mux: Mux
  #host: StreamHost | null
  #isScheduled = false

  constructor(welcome: Welcome, host: StreamHost) {
    const { limits } = host.options
    this.id = welcome.session ?? null
    this.shard = welcome.shard ?? null
    this.#host = host
    this.#mux = createMux({
      role: 'acceptor',
      maxStreams: limits.maxStreams,
      maxChunk: CHUNK_BYTES,
      sendWindow: { stream: welcome.rx_window, connection: welcome.rx_budget },
      receiveWindow: { stream: limits.window, connection: limits.budget },
      isResumable: this.id !== null,
      wake: () => this.#schedule(),
      control: (type, payload) => this.#host?.control(type, payload),
      accept: (head, stream, kind, isLast) => {
        const { handlers, onRequest } = host.options
        onRequest({ method: head.method, path: head.path })
        return kind === 'request'
          ? acceptRequest(handlers.request, head, stream, isLast, this.#events)
          : acceptSocket(handlers.socket, head, stream, this.#events)
      },
    })
  }

  get size(): number {
    return this.#mux.size
  }

  get lastSeq(): number {
    return this.#mux.lastSeq
  }

  /** The gateway named it, and what was sent and not acknowledged is still here. */
  get isResumable(): boolean {
    return this.id !== null && this.#mux.isResumable
  }

  /** Frames of a message; words for what is wrong with them, after which nothing goes on. */
  receive(message: Uint8Array): string | null {
    return this.#mux.receive(message)?.reason ?? null
  }

  control(type: FrameType, payload: Uint8Array): void {
    this.#mux.control(type, payload)
  }

  suspend(): void {
    this.#host = null
    this.#mux.suspend()
  }

  /** Goes on over another line; false when the two ends do not fit any more. */
  resume(lastSeq: number, host: StreamHost): boolean {
    this.#host = host
    const isResumed = this.#mux.resume(lastSeq)
    if (isResumed) this.#schedule()
    return isResumed
  }

  abandon(): void {
    this.#mux.closeAll(RESET.disconnected)
    this.#host = null
  }

  /** Sends what there is, as far as the line has room. */
  pump(): void {
    const line = this.#host?.options.line
    if (!line) return
    for (;;) {
      const message = line.hasRoom ? this.#mux.pull(MESSAGE_BYTES) : null
      if (!message) return
      line.send(message)
    }
  }

  readonly #events = {
    onDone: () => this.#host?.options.onDone(),
    onError: (error: unknown) =>
      this.#host?.options.onFault(error instanceof Error ? error : new Error(String(error))),
  }

  /** At the end of this turn of the event loop, so that all answers of a turn share messages. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.pump()
    })
  }
}
