/**
 * Heads and trailers of dialect v2 as octets: length-prefixed texts, no dynamic state, so that a block can be read alone.
 *
 *   request head   method, path, fields
 *   response head  u16 status, fields
 *   trailers       fields
 *   fields         name, value, name, value … to the end of the payload
 *   method, name   one octet ≥ 0x80: entry (octet − 0x80) of `METHODS` or `NAMES`; 1–127: so many octets follow
 *   path, value    one octet < 0x80: so many octets follow; else two octets, 15 bits without the first bit
 *
 * A name is a lower-case token (RFC 9110 section 5.1), between shards perhaps with ':' before it; a value is octets without
 * CR, LF, NUL (section 5.5), here as Latin-1. Whoever sends may spell out a name of the table.
 */
import { V2_LIMITS } from './frames.ts'
import type { HeaderList, RequestHead, ResponseHead } from './mux.ts'

/** On the wire by their places: never changed, only added to. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** On the wire by their places: never changed, only added to, at most 128. */
export const NAMES: readonly string[] = `
  accept accept-encoding accept-language accept-ranges access-control-request-headers
  access-control-request-method age allow authorization cache-control connection content-disposition
  content-encoding content-language content-length content-location content-range content-security-policy
  content-type cookie date etag expect expires forwarded from host if-match if-modified-since
  if-none-match if-range if-unmodified-since last-event-id last-modified link location origin range
  referer referrer-policy retry-after sec-websocket-accept sec-websocket-key sec-websocket-protocol
  sec-websocket-version server server-timing set-cookie strict-transport-security te traceparent
  tracestate trailer transfer-encoding upgrade user-agent vary via warning www-authenticate
  x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-proto x-frame-options
  x-requested-with :controller :epoch :length
`
  .trim()
  .split(/\s+/)

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_NAME = /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/
const FORBIDDEN_IN_VALUE = /[\0\r\n]/
const FORBIDDEN_IN_PATH = /[^\x21-\x7e\x80-\xff]/
/** V8 answers this without looking when the string is one-byte, as nearly all are. */
const BEYOND_LATIN1 = /[\u0100-\uffff]/

const MAX_SHORT = 0x7f
const MAX_LONG = 0x7fff

const octets = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet))
const methodOctets = new Map<string, string>(METHODS.map((name, at) => [name, octets[0x80 | at]!]))
const nameOctets = new Map<string, string>(NAMES.map((name, at) => [name, octets[0x80 | at]!]))

/** Octets of a request head as a Latin-1 string; null when it can't be said in this dialect. */
export function encodeRequestHead({ method, path, headers }: RequestHead): string | null {
  const verb = methodOctets.get(method) ?? shortText(method)
  if (verb === null || path.length > MAX_LONG) return null
  return bounded(appendFields(verb + longText(path), headers))
}

/** Octets of a response head as a Latin-1 string; null when it can't be said in this dialect. */
export function encodeResponseHead({ status, headers }: ResponseHead): string | null {
  if (!(status >= 0 && status <= 0xffff)) return null
  return bounded(appendFields(octets[status >> 8]! + octets[status & 0xff]!, headers))
}

/** Octets of trailers as a Latin-1 string; null when they can't be said in this dialect. */
export function encodeTrailers(trailers: HeaderList): string | null {
  return bounded(appendFields('', trailers))
}

/** Reads the payload of REQ or WS_OPEN. Null: malformed, too long or too many fields. */
export function decodeRequestHead(payload: Uint8Array): RequestHead | null {
  const reader = readerOf(payload)
  if (!reader) return null
  const method = reader.short(METHODS)
  const path = reader.long()
  if (method === null || path === null || FORBIDDEN_IN_PATH.test(path)) return null
  const headers = reader.fields()
  return headers && { method, path, headers }
}

/** Reads the payload of RESP. Null: malformed, too long or too many fields. The status is any number that was sent. */
export function decodeResponseHead(payload: Uint8Array): ResponseHead | null {
  const reader = readerOf(payload)
  if (!reader || payload.length < 2) return null
  reader.at = 2
  const headers = reader.fields()
  return headers && { status: (payload[0]! << 8) | payload[1]!, headers }
}

/** Reads the payload of END. Null: malformed, too long or too many fields. */
export function decodeTrailers(payload: Uint8Array): HeaderList | null {
  return readerOf(payload)?.fields() ?? null
}

/** What every Buffer has without the checks of `toString` and `write`, which the types leave out. */
export type Latin1Buffer = Buffer & {
  latin1Slice(from: number, to: number): string
  latin1Write(text: string, at: number, length: number): number
}

/** Octets as a Latin-1 string. */
export function latin1(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return (buffer as Latin1Buffer).latin1Slice(from, to)
}

function appendFields(start: string, headers: HeaderList): string | null {
  if (headers.length > 2 * V2_LIMITS.maxHeaders) return null
  let block = start
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at]!
    const value = headers[at + 1]!
    const named = nameOctets.get(name) ?? shortText(name)
    if (named === null || value.length > MAX_LONG) return null
    block += named + longText(value)
  }
  return block
}

function shortText(text: string): string | null {
  return text.length >= 1 && text.length <= MAX_SHORT ? octets[text.length]! + text : null
}

function longText(text: string): string {
  const { length } = text
  return length <= MAX_SHORT
    ? octets[length]! + text
    : octets[0x80 | (length >> 8)]! + octets[length & 0xff]! + text
}

function bounded(block: string | null): string | null {
  return block === null || block.length > V2_LIMITS.maxHeadBytes || BEYOND_LATIN1.test(block) ? null : block
}

function readerOf(payload: Uint8Array): BlockReader | null {
  return payload.length > V2_LIMITS.maxHeadBytes ? null : new BlockReader(payload)
}

/** Walks one block. Every method answers null when the octets make no sense. */
class BlockReader {
  readonly bytes: Uint8Array
  readonly text: string
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.text = latin1(bytes)
  }

  short(table: readonly string[]): string | null {
    if (this.at >= this.bytes.length) return null
    const octet = this.bytes[this.at++]!
    if (octet >= 0x80) return table[octet & MAX_SHORT] ?? null
    const text = this.take(octet)
    return text !== null && (table === METHODS ? METHOD : FIELD_NAME).test(text) ? text : null
  }

  long(): string | null {
    if (this.at >= this.bytes.length) return null
    const octet = this.bytes[this.at++]!
    if (octet <= MAX_SHORT) return this.take(octet)
    if (this.at >= this.bytes.length) return null
    return this.take(((octet & MAX_SHORT) << 8) | this.bytes[this.at++]!)
  }

  fields(): string[] | null {
    const fields: string[] = []
    while (this.at < this.bytes.length) {
      const name = this.short(NAMES)
      const value = name === null ? null : this.long()
      if (name === null || value === null || FORBIDDEN_IN_VALUE.test(value)) return null
      if (fields.length >= 2 * V2_LIMITS.maxHeaders) return null
      fields.push(name, value)
    }
    return fields
  }

  private take(length: number): string | null {
    const end = this.at + length
    if (end > this.bytes.length) return null
    const text = this.text.slice(this.at, end)
    this.at = end
    return text
  }
}
