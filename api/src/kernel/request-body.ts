/** JSON bodies from outside: bounded, never inflated, and nothing deep or unstorable gets past here. */
import type { IncomingMessage } from 'node:http'
import { appError } from '@wmoc/platform/errors'
import type { Json } from './clean-text.ts'
import { jsonDepth } from './clean-text.ts'

export const BODY_LIMIT_BYTES = 1_048_576
export const JSON_DEPTH_LIMIT = 32

/**
 * The parsed JSON body, or undefined where there is none. Throws 413 above 1 MiB, 415 for another content type or any
 * Content-Encoding, 400 for broken UTF-8 or JSON, nesting over 32 and strings that Postgres can't hold.
 */
export async function readJsonBody(
  request: IncomingMessage,
): Promise<{ value: Json; text: string } | undefined> {
  const bytes = await readBytes(request)
  if (bytes.length === 0) return undefined
  const encoding = request.headers['content-encoding']
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json' || (encoding !== undefined && encoding !== 'identity')) {
    throw appError('unsupported_media_type', { detail: 'Send application/json without Content-Encoding.' })
  }
  const { text, value } = parse(bytes)
  if (jsonDepth(value, JSON_DEPTH_LIMIT) > JSON_DEPTH_LIMIT) {
    throw appError('malformed', { detail: `The body is nested deeper than ${JSON_DEPTH_LIMIT} levels.` })
  }
  refuseUnstorable(value, 'body')
  return { value, text }
}

/** Throws 400 where a string holds U+0000 or half a surrogate pair: Postgres stores neither. */
export function refuseUnstorable(value: unknown, path: string): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed()) {
      throw appError('validation_failed', {
        fields: [{ path, code: 'invalid_format', message: 'holds characters that cannot be stored' }],
      })
    }
  } else if (value !== null && typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) {
      refuseUnstorable(key, path)
      refuseUnstorable(item, `${path}.${key}`)
    }
  }
}

function parse(bytes: Buffer): { text: string; value: Json } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return { text, value: JSON.parse(text) as Json }
  } catch (cause) {
    throw appError('malformed', { detail: 'The body is not valid JSON.', cause })
  }
}

/** Up to twice the limit is read and dropped, so that a client just over it hears the answer instead of a reset. */
function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    const tooLarge = () => reject(appError('payload_too_large'))
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= BODY_LIMIT_BYTES) chunks.push(chunk)
      else chunks.length = 0
      if (size > 2 * BODY_LIMIT_BYTES) {
        request.pause()
        tooLarge()
      }
    })
    request.once('end', () => (size > BODY_LIMIT_BYTES ? tooLarge() : resolve(Buffer.concat(chunks))))
    request.once('error', (cause) => reject(appError('malformed', { cause })))
    request.once('close', () => reject(appError('malformed')))
    if (Number(request.headers['content-length'] ?? 0) > 2 * BODY_LIMIT_BYTES) tooLarge()
  })
}
