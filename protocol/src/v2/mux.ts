/**
 * Many streams over one connection, as a pure machine: frames and calls in, frames out by `pull`. The same machine
 * stands at both ends of a device's tunnel and of a link between shards. It holds no socket, timer or clock.
 */
import type { FrameType, ResetCode } from './frames.ts'

/** A header block as on the wire: name, value, name, value …; names in lower case. A name may repeat. */
export type HeaderList = readonly string[]

export interface RequestHead {
  readonly method: string
  /** Raw path and query. */
  readonly path: string
  readonly headers: HeaderList
}

export interface ResponseHead {
  readonly status: number
  readonly headers: HeaderList
}

/** Bytes queued on a stream: above `high` its owner should wait for `writable`, which is called at `low`. */
export const QUEUE_MARKS = { high: 65_536, low: 16_384 } as const

/** One end of a stream. Calls after the stream is over do nothing. */
export interface MuxStream {
  readonly id: number
  /** Queues body bytes. The caller stops when `queuedBytes` is high and goes on at `writable`. */
  write(bytes: Uint8Array): void
  /** Ends this side's direction. */
  end(trailers?: HeaderList): void
  /** Acceptor only, once, before `write`. */
  respond(head: ResponseHead, isLast: boolean): void
  /** A whole WebSocket message. */
  message(bytes: Uint8Array, isBinary: boolean): void
  /** Ends a WebSocket. */
  close(code: number, reason: string): void
  reset(code: ResetCode, words?: string): void
  /** The reader took so many bytes of `data` or `message`: the other side may send as many again. */
  consumed(bytes: number): void
  /**
   * Credit for this stream beyond its first window, before anything was read; the connection's stays as it is. Between
   * shards the first window of request bodies is 0, and the owner grants once its tunnel took the request. Sent at once.
   */
  grant(bytes: number): void
  /** Body bytes that wait for credit or for their turn. */
  readonly queuedBytes: number
  /** Both directions have ended and the id is free. */
  readonly isOver: boolean
}

/** What a stream's owner hears. Nothing follows `reset`; nothing of the body follows `end` or `closed`. */
export interface StreamHandler {
  /** Opener only. */
  head?(head: ResponseHead, isLast: boolean): void
  /** Bytes are the receiver's own to keep. */
  data(bytes: Uint8Array, isLast: boolean): void
  /** The other direction ended; `trailers` null: without any. Also called after `data(…, true)` and `head(…, true)`. */
  end(trailers: HeaderList | null): void
  reset(code: ResetCode, words: string): void
  /** `queuedBytes` has fallen to the low mark after it was above the high one. */
  writable(): void
  /** A piece of a WebSocket message, in order. */
  message?(bytes: Uint8Array, isBinary: boolean, isLast: boolean): void
  closed?(code: number, reason: string): void
  /** The stream is over at both ends; its slot is free. Always called, last, once. */
  over?(): void
}

export interface MuxOptions {
  /** The side that opens streams, or the one that accepts them. */
  readonly role: 'opener' | 'acceptor'
  /** Streams at a time; a peer that opens more is reset with `refused`. */
  readonly maxStreams: number
  /** Longest DATA or WS_MSG payload that the other side takes. */
  readonly maxChunk: number
  /** Credit that the other side gives each new stream, and the connection, at first. */
  readonly sendWindow: { readonly stream: number; readonly connection: number }
  /** Credit that this side gives each new stream, and the connection, at first. */
  readonly receiveWindow: { readonly stream: number; readonly connection: number }
  /** Keeps what was sent until it is acknowledged, so that `resume` works. */
  readonly isResumable: boolean
  /** There is something to `pull`. Called once until `pull` has answered null. */
  wake(): void
  /** Acceptor: a stream was opened. Answers who listens. */
  accept?(
    request: RequestHead,
    stream: MuxStream,
    kind: 'request' | 'websocket',
    isLast: boolean,
  ): StreamHandler
  /** A frame of stream 0 that the machine does not handle itself (it handles CREDIT, PING, PONG). */
  control(type: FrameType, payload: Uint8Array): void
  /** A PONG came with this payload. */
  pong?(payload: Uint8Array): void
}

/** Why the connection can't go on: said before the shell closes it (4400). */
export interface MuxFault {
  readonly reason: string
}

export interface Mux {
  /** Opens a stream. Null: `maxStreams` are open. */
  open(
    head: RequestHead,
    kind: 'request' | 'websocket',
    isLast: boolean,
    handler: StreamHandler,
  ): MuxStream | null
  /** Whole frames, as one message held them. Null: fine; a fault: nothing after it was taken. */
  receive(message: Uint8Array): MuxFault | null
  /** The next whole frames to send, at most `maxBytes` unless one frame alone is bigger; null: nothing now. Fair. */
  pull(maxBytes: number): Uint8Array | null
  /** A frame of stream 0. Goes before queued bodies. */
  control(type: FrameType, payload: Uint8Array): void
  /** The connection is gone but its streams live on (`isResumable`). `pull` answers null until `resume`. */
  suspend(): void
  /** A new connection of the same session; `lastSeq` is the last frame that the other side got. False: can't be resumed. */
  resume(lastSeq: number): boolean
  /** The last frame that arrived here, for HELLO and WELCOME of a resumed session. */
  readonly lastSeq: number
  /** Ends every stream with `reset(code)` to its handler; nothing is sent. */
  closeAll(code: ResetCode): void
  readonly size: number
  /** False also after more was sent without acknowledgement than can be kept: `resume` will answer false. */
  readonly isResumable: boolean
  /** Bytes held here: queued bodies and unacknowledged frames. */
  readonly heldBytes: number
  /** What must always hold; empty when it does. */
  invariants(): string[]
}
