/** The user's end of a stream: writes what the device sent in framing of our own. */
import type { ServerResponse } from 'node:http'
import { buildResponseHead } from '#src/core/response-head.ts'
import type { ResponseContext, ResponseHead } from '#src/core/response-head.ts'
import type { DeviceHead, StreamFailure, StreamSink } from '#src/core/upstream.ts'

export type Outcome = 'ok' | 'user_left' | StreamFailure

export interface WriterOptions {
  readonly response: ServerResponse
  readonly context: ResponseContext
  /** Added to the device's own headers. */
  readonly extraHeaders: readonly string[]
  head(head: ResponseHead): void
  violation(reason: string): void
  bytes(count: number): void
  /** The stream is over without an error. */
  done(): void
  readonly failed: (failure: StreamFailure) => void
}

export function createResponseWriter(options: WriterOptions): StreamSink {
  const { response } = options
  let head: ResponseHead | null = null
  let isWhole = false
  let whole: Uint8Array | null = null

  function writeHead(framing: readonly string[]): void {
    response.writeHead(head!.status, [...head!.headers, ...options.extraHeaders, ...framing])
  }

  return {
    head(message: DeviceHead, isLast) {
      const built = buildResponseHead(message.status, message.headers, options.context)
      if (!built.ok) {
        options.violation(built.reason)
        return false
      }
      head = built
      isWhole = isLast
      options.head(built)
      // Without Content-Length, Node frames it in chunks: a cut transfer can't pass for a whole one.
      if (!isLast && !built.isBodiless) {
        writeHead([])
        response.flushHeaders()
      }
      return true
    },
    data(bytes) {
      if (head!.isBodiless) return
      options.bytes(bytes.length)
      if (isWhole) whole = bytes
      else response.write(bytes)
    },
    end() {
      if (isWhole || head!.isBodiless) {
        // HEAD and 304 tell the length that the device told; 204 has none (RFC 9110 section 8.6).
        const hasLength = !head!.isBodiless || head!.status === 205
        writeHead(hasLength ? ['Content-Length', String(whole?.length ?? 0)] : [])
        response.end(whole ?? undefined)
      } else response.end()
      options.done()
    },
    fail: options.failed,
    bufferedBytes: () => response.writableLength,
    writable: () => undefined,
    message: () => undefined,
    closed: () => undefined,
  }
}
