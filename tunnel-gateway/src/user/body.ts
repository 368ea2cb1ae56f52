/** Collects a request's body, which a v1 device can only take whole, up to what the device holds. */
import type { IncomingMessage } from 'node:http'
import { appError } from '@wmoc/platform/errors'
import type { ByteBudget } from '#src/core/byte-budget.ts'

const EMPTY = new Uint8Array(0)

export interface BodyOptions {
  readonly maxBytes: number
  /** Of all bodies together; what was taken is the caller's to give back, as `onTaken` tells. */
  readonly budget: ByteBudget
  onTaken(bytes: number): void
  /** The body is wanted: answers `Expect: 100-continue`. */
  allow(): void
}

/**
 * The body; null when the request has none. Rejects with `payload_too_large` or `overloaded` as soon as that is known,
 * and with UserLeft when there is nobody left to answer.
 */
export function collectBody(request: IncomingMessage, options: BodyOptions): Promise<Uint8Array | null> {
  const announced = request.headers['content-length']
  if (announced === undefined && request.headers['transfer-encoding'] === undefined)
    return Promise.resolve(null)
  const { maxBytes, budget } = options
  if (announced !== undefined && Number(announced) > maxBytes) return Promise.reject(tooLarge(maxBytes))
  if (announced !== undefined && Number(announced) === 0) return Promise.resolve(EMPTY)

  const take = (bytes: number): boolean => {
    const isTaken = budget.take(bytes)
    if (isTaken) options.onTaken(bytes)
    return isTaken
  }
  if (announced !== undefined && !take(Number(announced))) return Promise.reject(overloaded())
  options.allow()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      const error =
        size > maxBytes
          ? tooLarge(maxBytes)
          : announced === undefined && !take(chunk.length)
            ? overloaded()
            : null
      if (error === null) {
        chunks.push(chunk)
        return
      }
      request.off('data', onData)
      request.pause()
      reject(error)
    }
    request.on('data', onData)
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)))
    request.once('error', () => reject(new UserLeft()))
    request.once('close', () => reject(new UserLeft()))
  })
}

/** There is nobody left to answer. */
export class UserLeft extends Error {
  override readonly name = 'UserLeft'
}

function tooLarge(maxBytes: number): Error {
  return appError('payload_too_large', { detail: `The device takes bodies of at most ${maxBytes} bytes` })
}

function overloaded(): Error {
  return appError('overloaded', { retryAfterMs: 2_000 })
}
