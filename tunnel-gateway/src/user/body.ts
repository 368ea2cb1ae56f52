/** A request's body on its way to the device: piece by piece where it takes streams, collected where it does not. */
import type { IncomingMessage } from 'node:http'
import { appError } from '@wmoc/platform/errors'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import { addHeader } from '#src/core/header-names.ts'
import type { HeaderBlock } from '#src/core/header-names.ts'
import { allowedTrailers } from '#src/core/trailers.ts'
import type { UpstreamStream } from '#src/core/upstream.ts'

const EMPTY = new Uint8Array(0)
/** What is read of a body that nobody wants any more, so that its sender sees the answer rather than a reset. */
const DISCARD_BYTES = 65_536
const DISCARD_MS = 5_000

export interface AnnouncedBody {
  readonly hasBody: boolean
  /** Bytes; null: unknown, or there is none. */
  readonly length: number | null
}

/** What a request's head says of its body; an announced length of 0 is no body. */
export function announcedBody({ headers }: IncomingMessage): AnnouncedBody {
  const announced = headers['content-length']
  if (announced !== undefined) return { hasBody: Number(announced) > 0, length: Number(announced) }
  return { hasBody: headers['transfer-encoding'] !== undefined, length: null }
}

export interface BodyOptions {
  readonly maxBytes: number
  /** Time for all of it to arrive. */
  readonly timeoutMs: number
  /** Of all bodies together; what was taken is the caller's to give back, as `onTaken` tells. */
  readonly budget: ByteBudget
  onTaken(bytes: number): void
  /** The body is wanted: answers `Expect: 100-continue`. */
  allow(): void
}

/**
 * The whole body. Rejects with `payload_too_large`, `overloaded` or `request_timeout` as soon as that is known, and with
 * UserLeft when there is nobody left to answer.
 */
export function collectBody(request: IncomingMessage, options: BodyOptions): Promise<Uint8Array> {
  const { length: announced } = announcedBody(request)
  const { maxBytes, budget } = options
  // Before anybody listened; it will not be said again.
  if (request.destroyed) return Promise.reject(new UserLeft())
  if (announced !== null && announced > maxBytes) return Promise.reject(tooLarge(maxBytes))
  const take = (bytes: number): boolean => {
    const isTaken = budget.take(bytes)
    if (isTaken) options.onTaken(bytes)
    return isTaken
  }
  if (announced !== null && !take(announced)) return Promise.reject(overloaded())
  options.allow()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const refuse = (error: Error) => {
      clearTimeout(timer)
      request.off('data', onData)
      request.pause()
      reject(error)
    }
    const timer = setTimeout(() => refuse(appError('request_timeout')), options.timeoutMs)
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) refuse(tooLarge(maxBytes))
      else if (announced === null && !take(chunk.length)) refuse(overloaded())
      else chunks.push(chunk)
    }
    const left = () => {
      clearTimeout(timer)
      reject(new UserLeft())
    }
    request.on('data', onData)
    request.once('end', () => {
      clearTimeout(timer)
      resolve(chunks.length === 1 ? chunks[0]! : chunks.length === 0 ? EMPTY : Buffer.concat(chunks, size))
    })
    request.once('error', left)
    request.once('close', left)
  })
}

export interface BodyPipe {
  /** The stream takes more again. */
  resume(): void
  /** Nobody wants the rest. */
  stop(): void
}

/** Sends a body on as fast as the stream takes it, whatever its size, holding no more than Node's own buffers. */
export function pipeBody(
  request: IncomingMessage,
  stream: UpstreamStream,
  options: {
    readonly maxBytes: number
    /** Longest time without a byte while the stream would take some. */
    readonly idleMs: number
    onBytes(count: number): void
    onTooLarge(): void
    onStalled(): void
  },
): BodyPipe {
  let size = 0
  let isPaused = false
  const timer = setTimeout(() => {
    if (isPaused) timer.refresh()
    else options.onStalled()
  }, options.idleMs)

  function onData(chunk: Buffer): void {
    size += chunk.length
    if (size > options.maxBytes) return options.onTooLarge()
    options.onBytes(chunk.length)
    timer.refresh()
    if (stream.write(chunk)) return
    isPaused = true
    request.pause()
  }

  function onEnd(): void {
    clearTimeout(timer)
    const trailers = request.rawTrailers.length === 0 ? [] : allowedTrailers(request.rawTrailers)
    if (trailers.length === 0) return stream.end()
    const block = Object.create(null) as HeaderBlock
    for (let index = 0; index < trailers.length; index += 2)
      addHeader(block, trailers[index]!, trailers[index + 1]!)
    stream.end(block)
  }

  request.on('data', onData)
  request.once('end', onEnd)
  return {
    resume() {
      if (!isPaused) return
      isPaused = false
      timer.refresh()
      request.resume()
    },
    stop() {
      clearTimeout(timer)
      request.off('data', onData)
      request.off('end', onEnd)
    },
  }
}

/** Reads and drops what is left of a body, a little of it; more than that ends the connection. */
export function discardRest(request: IncomingMessage): void {
  const { socket } = request
  let left = DISCARD_BYTES
  const timer = setTimeout(() => socket.destroy(), DISCARD_MS)
  timer.unref()
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) socket.destroy()
  })
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
  request.resume()
}

/** There is nobody left to answer. */
export class UserLeft extends Error {
  override readonly name = 'UserLeft'
}

export function tooLarge(maxBytes: number): Error {
  return appError('payload_too_large', { detail: `The device takes bodies of at most ${maxBytes} bytes` })
}

function overloaded(): Error {
  return appError('overloaded', { retryAfterMs: 2_000 })
}
