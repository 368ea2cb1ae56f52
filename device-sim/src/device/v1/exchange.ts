/** HTTP requests that come through the tunnel: answered by a handler, in messages, no faster than the socket takes. */
import { decodeBody, encodeBody, responseMessages, splitBody } from '@wmoc/protocol/v1-body'
import type {
  ClientMessage,
  HeaderBlock,
  HttpRequest,
  HttpResponse,
  HttpResponseChunk,
} from '@wmoc/protocol/messages'

export type DeviceRequest = {
  method: string
  /** Raw path and query, begins with "/". */
  path: string
  headers: HeaderBlock
  body: Buffer
  /** Aborts when the user went away or the tunnel closed. */
  signal: AbortSignal
}

/** Where a handler puts its answer: `whole` once, or `begin`, any number of `write`, then `end` or `fail`. */
export type ResponseSink = {
  whole(status: number, headers: HeaderBlock, body?: Uint8Array): Promise<void>
  begin(status: number, headers: HeaderBlock): Promise<void>
  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void>
  end(): Promise<void>
  /** The rest of the body will never come: the user's transfer must break, not end. */
  fail(reason: string): Promise<void>
}

export type RequestHandler = (request: DeviceRequest, sink: ResponseSink) => Promise<void>

/** Sends one message; resolves when the socket has room for more. Rejects never: a closed socket swallows. */
export type Send = (message: ClientMessage) => Promise<void>

export type Exchange = {
  accept(request: HttpRequest): void
  cancel(id: string): void
  /** Aborts everything in flight: the tunnel closed. */
  abandon(): void
  readonly inFlight: number
}

/** `maxChunkBytes` is asked per message, since the server names its limit only at registration. */
export function createExchange(options: {
  handler: RequestHandler
  send: Send
  maxStreams: number
  maxChunkBytes: () => number
  onError: (error: unknown) => void
}): Exchange {
  const { handler, send } = options
  const running = new Map<string, AbortController>()

  async function answer(request: HttpRequest, controller: AbortController): Promise<void> {
    const { id, method, path, headers } = request
    const { signal } = controller
    const sink = createSink({ id, signal, send: reply, maxChunkBytes: options.maxChunkBytes() })
    const body = decodeBody(request)
    if (!body) return sink.whole(400, TEXT, Buffer.from('bad body\n'))
    try {
      await handler({ method, path, headers, body, signal }, sink)
    } catch (error) {
      if (signal.aborted) return
      options.onError(error)
      await sink.fail('internal error')
    }
  }

  /** The gateway fills the slot the moment it sees the last message, so it is free before that is sent. */
  function reply(message: HttpResponse | HttpResponseChunk): Promise<void> {
    if (message.more !== true) running.delete(message.id)
    return send(message)
  }

  return {
    accept(request) {
      const controller = new AbortController()
      if (running.has(request.id)) return
      if (running.size >= options.maxStreams) {
        void send({ type: 'http_response', id: request.id, status: 503, headers: TEXT, body: 'busy\n' })
        return
      }
      running.set(request.id, controller)
      void answer(request, controller).finally(() => {
        if (running.get(request.id) === controller) running.delete(request.id)
      })
    },
    cancel(id) {
      const controller = running.get(id)
      if (!controller) return
      controller.abort()
      // Nothing of this id follows.
      void reply({ type: 'http_response_chunk', id, more: false, error: 'cancelled' })
    },
    abandon() {
      for (const controller of running.values()) controller.abort()
    },
    get inFlight() {
      return running.size
    },
  }
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }

function createSink(options: {
  id: string
  signal: AbortSignal
  send: (message: HttpResponse | HttpResponseChunk) => Promise<void>
  maxChunkBytes: number
}): ResponseSink {
  const { id, signal, maxChunkBytes } = options
  let isBegun = false
  let isOver = false

  async function send(message: HttpResponse | HttpResponseChunk): Promise<void> {
    if (!signal.aborted) await options.send(message)
  }

  return {
    async whole(status, headers, body = new Uint8Array()) {
      isBegun = true
      isOver = true
      for (const message of responseMessages({ id, status, headers }, body, maxChunkBytes))
        await send(message)
    },
    async begin(status, headers) {
      isBegun = true
      await send({ type: 'http_response', id, status, headers, body: '', more: true })
    },
    async write(bytes) {
      if (bytes.length === 0) return
      for (const piece of splitBody(bytes, maxChunkBytes)) {
        await send({ type: 'http_response_chunk', id, ...encodeBody(piece), more: true })
      }
    },
    async end() {
      isOver = true
      await send({ type: 'http_response_chunk', id, body: '', more: false })
    },
    async fail(reason) {
      if (isOver) return
      isOver = true
      if (isBegun) await send({ type: 'http_response_chunk', id, more: false, error: reason })
      else await send({ type: 'http_response', id, status: 502, headers: TEXT, body: `${reason}\n` })
    },
  }
}
