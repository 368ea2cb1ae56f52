/** What answers a controller's requests, whichever dialect they came by. */
import type { HeaderBlock } from '@wmoc/protocol/messages'
import type { RequestBody } from './request-body.ts'

/** Room for more: undefined at once, else when the promise resolves. Never rejects: a closed tunnel swallows. */
export type Room = Promise<void> | undefined

export interface DeviceRequest {
  readonly method: string
  /** Raw path and query, begins with "/". */
  readonly path: string
  /** A repeated header is an array. */
  readonly headers: HeaderBlock
  /** In pieces as they come, or collected. */
  readonly body: RequestBody
  /** An answer may take as long as it likes, as server-sent events do (dialect v2). */
  readonly isLive: boolean
  /** Aborts when the user went away or the tunnel closed. */
  readonly signal: AbortSignal
}

/** Where a handler puts its answer: `whole` once, or `begin`, any number of `write`, then `end` or `fail`. */
export interface ResponseSink {
  whole(status: number, headers: HeaderBlock, body?: Uint8Array): Room
  begin(status: number, headers: HeaderBlock): Room
  /** The bytes belong to the sink from now on. */
  write(bytes: Uint8Array): Room
  /** Trailers travel in dialect v2 only. */
  end(trailers?: HeaderBlock): Room
  /** The rest of the body will never come: the user's transfer must break, not end. */
  fail(reason: string): Room
}

/** Answers one request. What it throws becomes 502, or breaks the user's transfer when the answer has begun. */
export type RequestHandler = (request: DeviceRequest, sink: ResponseSink) => Promise<void> | undefined

/** The device's end of a user's WebSocket: `accept` or `refuse` comes first. */
export interface DeviceSocket {
  /** Says 101; the header `sec-websocket-protocol` chooses a subprotocol. */
  accept(headers: HeaderBlock, listener: SocketListener): void
  refuse(status: number, headers: HeaderBlock, body: Uint8Array): void
  /** A whole message. */
  send(bytes: Uint8Array, isBinary: boolean): Room
  close(code: number, reason: string): void
  /** Ends it as a lost connection does, with no close of its own. */
  fail(reason: string): void
}

export interface SocketListener {
  /** A piece of a message, in order. The user's side sends no more than it is given room for. */
  message(bytes: Uint8Array, isBinary: boolean, isLast: boolean): Room
  /** Once; 1006 when the user or the tunnel was lost. */
  closed(code: number, reason: string): void
}

/** Takes a user's WebSocket (dialect v2). `request.signal` aborts when the user goes away before it is accepted. */
export type SocketHandler = (request: DeviceRequest, socket: DeviceSocket) => void

export interface Handlers {
  readonly request: RequestHandler
  readonly socket: SocketHandler
}
