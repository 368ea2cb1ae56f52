/** Collects a request's body, which a v1 device can only take whole, up to what the device holds. */
import type { IncomingMessage } from 'node:http'
import { appError } from '@wmoc/platform/errors'

const EMPTY = new Uint8Array(0)

/**
 * The body; null when the request has none. Rejects with `payload_too_large` as soon as that is known, and with null
 * as reason when the user went away.
 * @param allow Called when the body is wanted: answers `Expect: 100-continue`.
 */
export function collectBody(
  request: IncomingMessage,
  maxBytes: number,
  allow: () => void,
): Promise<Uint8Array | null> {
  const announced = request.headers['content-length']
  if (announced === undefined && request.headers['transfer-encoding'] === undefined)
    return Promise.resolve(null)
  if (announced !== undefined) {
    if (Number(announced) > maxBytes) return Promise.reject(appError('payload_too_large', tooLarge(maxBytes)))
    if (Number(announced) === 0) return Promise.resolve(EMPTY)
  }
  allow()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) {
        request.off('data', onData)
        request.pause()
        reject(appError('payload_too_large', tooLarge(maxBytes)))
        return
      }
      chunks.push(chunk)
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

function tooLarge(maxBytes: number) {
  return { detail: `The device takes bodies of at most ${maxBytes} bytes` }
}
