/** HTTP requests of dialect v1: answered by a handler, in messages, no faster than the line takes. */
import { decodeBody, encodeBody, responseMessages, splitBody } from '@wmoc/protocol/v1-body'
import type { HeaderBlock, HttpRequest, HttpResponse, HttpResponseChunk } from '@wmoc/protocol/messages'
import type { RequestHandler, ResponseSink, Room } from '../handler.ts'
import { IncomingRequest } from '../incoming-request.ts'
import { RequestBody } from '../request-body.ts'

type Answer = HttpResponse | HttpResponseChunk

export interface Exchange {
  accept(request: HttpRequest): void
  cancel(id: string): void
  /** Aborts everything in flight: the tunnel closed. */
  abandon(): void
  readonly inFlight: number
}

export interface ExchangeOptions {
  readonly handler: RequestHandler
  send(message: Answer): Room
  readonly maxStreams: number
  /** Asked per answer, since the server names its limit only at registration. */
  maxChunkBytes(): number
  onDone(): void
  onError(error: unknown): void
}

/** Nothing of an id follows once its last message was sent, whatever the handler still says. */
export function createExchange(options: ExchangeOptions): Exchange {
  const running = new Map<string, IncomingRequest>()

  function accept(message: HttpRequest): void {
    const { id, method, path, headers } = message
    if (running.has(id)) return
    if (running.size >= options.maxStreams) {
      void options.send({ type: 'http_response', id, status: 503, headers: TEXT, body: 'busy\n' })
      return
    }
    const body = decodeBody(message)
    const request = new IncomingRequest({
      method,
      path,
      headers,
      body: RequestBody.of(body ?? Buffer.alloc(0)),
      isLive: false,
    })
    running.set(id, request)
    const sink = createSink({ id, request, send: reply, maxChunkBytes: options.maxChunkBytes() })
    if (body) void answer(request, sink)
    else void sink.whole(400, TEXT, Buffer.from('bad body\n'))
  }

  async function answer(request: IncomingRequest, sink: ResponseSink): Promise<void> {
    try {
      await options.handler(request, sink)
    } catch (error) {
      if (request.isAborted) return
      options.onError(error)
      await sink.fail('internal error')
    }
  }

  /** The gateway fills the slot the moment it sees the last message, so it is free before that is sent. */
  function reply(message: Answer): Room {
    const isLast = message.more !== true && running.delete(message.id)
    const room = options.send(message)
    if (isLast) options.onDone()
    return room
  }

  return {
    accept,
    cancel(id) {
      const request = running.get(id)
      if (!request) return
      request.abort()
      void reply({ type: 'http_response_chunk', id, more: false, error: 'cancelled' })
    },
    abandon() {
      for (const request of running.values()) request.abort()
      running.clear()
    },
    get inFlight() {
      return running.size
    },
  }
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }

function createSink(options: {
  id: string
  request: IncomingRequest
  send(message: Answer): Room
  maxChunkBytes: number
}): ResponseSink {
  const { id, request, maxChunkBytes } = options
  let isBegun = false
  let isOver = false
  let busy: Promise<void> | null = null

  /** What is said next waits until all that was said before is on the line. */
  function inOrder(say: () => Room): Room {
    const room = busy ? busy.then(say) : say()
    busy = room ?? null
    void room?.then(() => {
      if (busy === room) busy = null
    })
    return room
  }

  function send(message: Answer): Room {
    return request.isAborted ? undefined : options.send(message)
  }

  function sendAll(messages: Iterable<Answer>): Room {
    const rest = messages[Symbol.iterator]()
    for (let next = rest.next(); !next.done; next = rest.next()) {
      const room = send(next.value)
      if (room) return room.then(() => sendAll({ [Symbol.iterator]: () => rest }))
    }
    return undefined
  }

  function* chunks(bytes: Uint8Array): Generator<HttpResponseChunk, void> {
    for (const piece of splitBody(bytes, maxChunkBytes)) {
      yield { type: 'http_response_chunk', id, ...encodeBody(piece), more: true }
    }
  }

  return {
    whole(status: number, headers: HeaderBlock, body = new Uint8Array()) {
      isBegun = true
      isOver = true
      return sendAll(responseMessages({ id, status, headers }, body, maxChunkBytes))
    },
    begin(status, headers) {
      isBegun = true
      return send({ type: 'http_response', id, status, headers, body: '', more: true })
    },
    write: (bytes) => (bytes.length > 0 && !isOver ? inOrder(() => sendAll(chunks(bytes))) : undefined),
    end() {
      if (isOver) return undefined
      isOver = true
      return inOrder(() => send({ type: 'http_response_chunk', id, body: '', more: false }))
    },
    fail(reason) {
      if (isOver) return undefined
      isOver = true
      if (isBegun) return inOrder(() => send({ type: 'http_response_chunk', id, more: false, error: reason }))
      return send({ type: 'http_response', id, status: 502, headers: TEXT, body: `${reason}\n` })
    },
  }
}
