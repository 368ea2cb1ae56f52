/** Dialect v1: one JSON message per text message. */
import { DEFAULT_CHUNK_BYTES } from '@wmoc/protocol/v1-body'
import type { ClientMessage } from '@wmoc/protocol/messages'
import { parseServerMessage, serialise } from '@wmoc/protocol/v1-codec'
import type { Dialect, DialectOptions } from '../dialect.ts'
import type { Room } from '../handler.ts'
import { createExchange } from './exchange.ts'

export function createDialectV1(options: DialectOptions): Dialect {
  const { line } = options
  let maxChunkBytes = DEFAULT_CHUNK_BYTES
  let waiting: { room: Promise<void>; resolve(): void } | null = null

  function say(message: ClientMessage): Room {
    line.send(serialise(message))
    if (line.hasRoom) return undefined
    if (!waiting) {
      const { promise: room, resolve } = Promise.withResolvers<void>()
      waiting = { room, resolve }
    }
    return waiting.room
  }

  function drained(): void {
    waiting?.resolve()
    waiting = null
  }

  const exchange = createExchange({
    handler: options.handlers.request,
    send: say,
    maxStreams: options.limits.maxStreams,
    maxChunkBytes: () => maxChunkBytes,
    onDone: options.onDone,
    onError: (error) => options.onFault(error instanceof Error ? error : new Error(String(error))),
  })

  return {
    receive(data) {
      const parsed = parseServerMessage(data)
      if (!parsed.ok) return options.onFault(new Error(`bad message of the gateway: ${parsed.detail}`))
      const { message } = parsed
      if (message.type === 'http_request') {
        options.onRequest(message)
        return exchange.accept(message)
      }
      if (message.type === 'http_cancel') return exchange.cancel(message.id)
      if (message.type === 'registered') {
        maxChunkBytes = Math.min(DEFAULT_CHUNK_BYTES, message.limits.maxResponseBody)
      }
      options.onMessage(message)
    },
    send: (message) => void say(message),
    drained,
    abandon() {
      exchange.abandon()
      drained()
    },
    suspend: () => null,
    get inFlight() {
      return exchange.inFlight
    },
  }
}
