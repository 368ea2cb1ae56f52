/** Bodies of dialect v1: bytes ↔ text of a JSON string, and responses cut into messages. Pure. */
import type { BodyEncoding, HttpResponse, HttpResponseChunk } from './messages.ts'

export type EncodedBody = { body: string; bodyEncoding?: BodyEncoding }

/** Bytes of body in one message that keep it below `V1_LIMITS.maxMessageBytes` even when each byte needs `\u00xx`. */
export const DEFAULT_CHUNK_BYTES = 16_384

// ignoreBOM keeps a byte order mark in the text: bodies are byte-exact.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Valid UTF-8 travels as text with no `bodyEncoding` (the form every controller understands), all else as base64. */
export function encodeBody(bytes: Uint8Array): EncodedBody {
  try {
    return { body: decoder.decode(bytes) }
  } catch {
    return { body: asBuffer(bytes).toString('base64'), bodyEncoding: 'base64' }
  }
}

/**
 * The bytes of a body. Null when there is no whole one: base64 (RFC 4648 section 4, padded) was announced and is not
 * what came, or the device says in `error` that the rest will never come.
 */
export function decodeBody(encoded: {
  body?: string
  bodyEncoding?: BodyEncoding
  error?: string
}): Buffer | null {
  const { body = '', bodyEncoding, error } = encoded
  if (error !== undefined) return null
  if (bodyEncoding !== 'base64') return Buffer.from(body, 'utf8')
  if (body.length % 4 !== 0) return null
  const bytes = Buffer.from(body, 'base64')
  const padding = body.endsWith('==') ? 2 : body.endsWith('=') ? 1 : 0
  // Node skips what is not base64 (and takes the URL alphabet), so foreign characters show as missing bytes or a dash.
  if (bytes.length !== (body.length / 4) * 3 - padding || /[-_]/.test(body)) return null
  return bytes
}

/** Pieces of at most `maxBytes`, none cut inside a UTF-8 character where that can be avoided. Views, not copies. */
export function* splitBody(bytes: Uint8Array, maxBytes: number): Generator<Uint8Array, void> {
  let start = 0
  while (bytes.length - start > maxBytes) {
    const end = cutPoint(bytes, start, start + maxBytes)
    yield bytes.subarray(start, end)
    start = end
  }
  yield bytes.subarray(start)
}

/** A whole response as messages: one `http_response`, then as many `http_response_chunk` as `maxBytes` asks for. */
export function* responseMessages(
  head: { id: string; status: number; headers: Record<string, string | string[]> },
  bytes: Uint8Array,
  maxBytes: number = DEFAULT_CHUNK_BYTES,
): Generator<HttpResponse | HttpResponseChunk, void> {
  let sent = 0
  for (const piece of splitBody(bytes, maxBytes)) {
    const more = sent + piece.length < bytes.length
    if (sent === 0) yield { type: 'http_response', ...head, ...encodeBody(piece), ...(more ? { more } : {}) }
    else yield { type: 'http_response_chunk', id: head.id, ...encodeBody(piece), more }
    sent += piece.length
  }
}

/** The largest cut ≤ `end` before a byte that starts a character; `end` itself when the bytes are no UTF-8. */
function cutPoint(bytes: Uint8Array, start: number, end: number): number {
  for (let cut = end; cut > start && end - cut < 4; cut -= 1) {
    if (((bytes[cut] ?? 0) & 0xc0) !== 0x80) return cut
  }
  return end
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
