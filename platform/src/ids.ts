/** Identifiers, random tokens and keyed hashes. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * A UUID of version 7 (RFC 9562 section 5.7): sorts by the millisecond it was made in.
 * @param now Milliseconds since 1970.
 */
export function uuidv7(now: number = Date.now()): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** `bytes` of randomness as base64url text without padding. */
export function randomToken(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}

/** Lower-case hex SHA-256 of UTF-8 text. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Lower-case hex HMAC-SHA-256 of UTF-8 text. */
export function hmacSha256Hex(key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex')
}

/** Compares two strings in time that depends only on their lengths. */
export function safeEqual(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}
