/** One HTTP request of dialect v2: a stream of the machine on one side, a handler and its sink on the other. */
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { HeaderList, MuxStream, RequestHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import type { RequestHandler, ResponseSink, Room } from '../handler.ts'
import { IncomingRequest } from '../incoming-request.ts'
import { RequestBody } from '../request-body.ts'
import { blockOf, listOf } from './headers.ts'
import { Writer } from './writer.ts'

const TEXT = { 'content-type': 'text/plain; charset=utf-8' }

export interface ExchangeEvents {
  onDone(): void
  onError(error: unknown): void
}

/** Begins an answer; what it returns hears of the stream. */
export function acceptRequest(
  handler: RequestHandler,
  head: RequestHead,
  stream: MuxStream,
  isLast: boolean,
  events: ExchangeEvents,
): StreamHandler {
  const request = new IncomingRequest({
    method: head.method,
    path: head.path,
    headers: blockOf(head.headers),
    body: isLast ? RequestBody.empty : new RequestBody((bytes) => stream.consumed(bytes)),
    isLive: true,
  })
  const exchange = new HttpExchange(stream, request, events)
  // In a turn of its own: the machine must know who listens before anything is answered.
  queueMicrotask(() => void answer(handler, request, exchange.sink, events))
  return exchange
}

async function answer(
  handler: RequestHandler,
  request: IncomingRequest,
  sink: ResponseSink,
  events: ExchangeEvents,
): Promise<void> {
  if (request.isAborted) return
  try {
    await handler(request, sink)
  } catch (error) {
    if (request.isAborted) return
    events.onError(error)
    void sink.fail('internal error')
  }
}

class HttpExchange implements StreamHandler {
  readonly sink: HttpSink
  readonly #request: IncomingRequest
  readonly #events: ExchangeEvents

  constructor(stream: MuxStream, request: IncomingRequest, events: ExchangeEvents) {
    this.sink = new HttpSink(stream, request)
    this.#request = request
    this.#events = events
  }

  data(bytes: Uint8Array): void {
    this.#request.body.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }

  end(trailers: HeaderList | null): void {
    this.#request.body.finish(trailers && blockOf(trailers))
  }

  reset(): void {
    this.#request.abort()
    this.sink.writer.release()
  }

  writable(): void {
    this.sink.writer.release()
  }

  over(): void {
    this.sink.writer.release()
    this.#events.onDone()
  }
}

class HttpSink implements ResponseSink {
  readonly writer: Writer
  readonly #stream: MuxStream
  readonly #request: IncomingRequest
  #isBegun = false
  isOver = false

  constructor(stream: MuxStream, request: IncomingRequest) {
    this.writer = new Writer(stream)
    this.#stream = stream
    this.#request = request
  }

  whole(status: number, headers: HeaderBlock, body?: Uint8Array): Room {
    if (this.#isBegun) return undefined
    const isBodiless = !body || body.length === 0
    this.#isBegun = true
    this.#stream.respond({ status, headers: listOf(headers) }, isBodiless)
    if (isBodiless) return this.#finish()
    this.#stream.write(body)
    return this.end()
  }

  begin(status: number, headers: HeaderBlock): Room {
    if (this.#isBegun) return undefined
    this.#isBegun = true
    this.#stream.respond({ status, headers: listOf(headers) }, false)
    return undefined
  }

  write(bytes: Uint8Array): Room {
    if (this.isOver || bytes.length === 0) return undefined
    this.#stream.write(bytes)
    return this.writer.room
  }

  end(trailers?: HeaderBlock): Room {
    if (this.isOver) return undefined
    this.#stream.end(trailers && listOf(trailers))
    return this.#finish()
  }

  fail(reason: string): Room {
    if (this.isOver) return undefined
    if (!this.#isBegun) return this.whole(502, TEXT, Buffer.from(`${reason}\n`))
    this.isOver = true
    this.#stream.reset(RESET.interrupted, reason)
    return undefined
  }

  #finish(): Room {
    this.isOver = true
    // The rest of the request is taken and thrown away, or the stream would never end.
    this.#request.body.discard()
    return undefined
  }
}
