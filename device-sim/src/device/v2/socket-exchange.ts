/** A user's WebSocket in dialect v2: a stream of the machine on one side, a handler and its listener on the other. */
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { MuxStream, RequestHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import type { DeviceSocket, Room, SocketHandler, SocketListener } from '../handler.ts'
import { IncomingRequest } from '../incoming-request.ts'
import { RequestBody } from '../request-body.ts'
import { blockOf, listOf } from './headers.ts'
import type { ExchangeEvents } from './http-exchange.ts'
import { Writer } from './writer.ts'

const LOST = 1006

/** Offers the WebSocket to the handler; what it returns hears of the stream. */
export function acceptSocket(
  handler: SocketHandler,
  head: RequestHead,
  stream: MuxStream,
  events: ExchangeEvents,
): StreamHandler {
  const request = new IncomingRequest({
    method: head.method,
    path: head.path,
    headers: blockOf(head.headers),
    body: RequestBody.empty,
    isLive: true,
  })
  const exchange = new SocketExchange(stream, request, events)
  queueMicrotask(() => {
    if (request.isAborted) return
    try {
      handler(request, exchange.socket)
    } catch (error) {
      events.onError(error)
      stream.reset(RESET.interrupted, 'internal error')
    }
  })
  return exchange
}

class SocketExchange implements StreamHandler {
  readonly socket: StreamSocket
  readonly #stream: MuxStream
  readonly #request: IncomingRequest
  readonly #events: ExchangeEvents

  constructor(stream: MuxStream, request: IncomingRequest, events: ExchangeEvents) {
    this.socket = new StreamSocket(stream)
    this.#stream = stream
    this.#request = request
    this.#events = events
  }

  message(bytes: Uint8Array, isBinary: boolean, isLast: boolean): void {
    const { length } = bytes
    const room = this.socket.listener?.message(bytes, isBinary, isLast)
    if (room) void room.then(() => this.#stream.consumed(length))
    else this.#stream.consumed(length)
  }

  closed(code: number, reason: string): void {
    this.socket.listener?.closed(code, reason)
    // The other half of the closing handshake, unless the listener has said it.
    this.socket.close(code, '')
  }

  /** Bytes that are no message are none of a WebSocket's. */
  data(): void {
    this.#stream.reset(RESET.protocol)
    this.reset(RESET.protocol, 'data in a WebSocket')
  }

  end(): void {
    // `closed` or `reset` says how.
  }

  reset(_code: number, words: string): void {
    this.#request.abort()
    this.socket.writer.release()
    this.socket.listener?.closed(LOST, words)
    this.socket.listener = null
  }

  writable(): void {
    this.socket.writer.release()
  }

  over(): void {
    this.socket.writer.release()
    this.#events.onDone()
  }
}

class StreamSocket implements DeviceSocket {
  readonly writer: Writer
  listener: SocketListener | null = null
  readonly #stream: MuxStream
  #isClosed = false

  constructor(stream: MuxStream) {
    this.writer = new Writer(stream)
    this.#stream = stream
  }

  accept(headers: HeaderBlock, listener: SocketListener): void {
    this.listener = listener
    this.#stream.respond({ status: 101, headers: listOf(headers) }, false)
  }

  refuse(status: number, headers: HeaderBlock, body: Uint8Array): void {
    this.#isClosed = true
    this.#stream.respond({ status, headers: listOf(headers) }, body.length === 0)
    if (body.length === 0) return
    this.#stream.write(body)
    this.#stream.end()
  }

  send(bytes: Uint8Array, isBinary: boolean): Room {
    if (this.#isClosed) return undefined
    this.#stream.message(bytes, isBinary)
    return this.writer.room
  }

  close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stream.close(code, reason)
  }

  fail(reason: string): void {
    this.#isClosed = true
    this.#stream.reset(RESET.interrupted, reason)
  }
}
