/** Header fields between a tunnel and a real HTTP device. Pure. */
import type { HeaderBlock } from '@wmoc/protocol/messages'

/** Fields of one connection, not of the message (RFC 9110 section 7.6.1), and the framing that Node sets itself. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** The port of the device that the user asked for, where it is not the page's own; it is spent here. */
export const FORWARDED_PORT = 'x-forwarded-port'
/** Methods that say nothing about a body that is not there (RFC 9110 section 8.6). */
const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE'])

/** The body of a request as the device hears of it. */
export type Framing = {
  headers: HeaderBlock
  /** Bytes that were announced; null: as many as come. */
  length: number | null
}

/** Fields for the device at `host`. `bodyLength` null: what the fields say, else chunks. */
export function requestHeaders(
  headers: HeaderBlock,
  { host, method, bodyLength }: { host: string; method: string; bodyLength: number | null },
): Framing {
  const kept: HeaderBlock = {}
  let hasHost = false
  let length = bodyLength
  for (const name in headers) {
    const value = headers[name]
    const lower = name.toLowerCase()
    if (value === undefined || HOP_BY_HOP.has(lower) || lower === 'expect' || lower === FORWARDED_PORT)
      continue
    if (lower === 'content-length') {
      if (typeof value === 'string' && /^\d{1,15}$/.test(value)) length ??= Number(value)
      continue
    }
    if (lower === 'host') hasHost = true
    kept[name] = value
  }
  if (!hasHost) kept['Host'] = host
  if (length === null) kept['Transfer-Encoding'] = 'chunked'
  else if (length > 0 || !BODILESS.has(method)) kept['Content-Length'] = String(length)
  return { headers: kept, length }
}

/** Fields for a WebSocket's opening. Of `Sec-WebSocket-*` the subprotocols are the user's, the rest the client's. */
export function openingHeaders(headers: HeaderBlock, host: string): HeaderBlock {
  const { headers: kept } = requestHeaders(headers, { host, method: 'GET', bodyLength: 0 })
  for (const name in kept) if (/^sec-websocket-(?!protocol$)/i.test(name)) delete kept[name]
  return kept
}

/** Raw header lines of an answer as a block: names as they came, repeats as an array, own addresses as paths. */
export function responseHeaders(rawHeaders: readonly string[], host: string): HeaderBlock {
  const block: HeaderBlock = {}
  const spelling: Record<string, string> = {}
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const lower = rawHeaders[at]!.toLowerCase()
    if (HOP_BY_HOP.has(lower) || lower === '__proto__') continue
    const raw = rawHeaders[at + 1]!
    const isAddress = lower === 'location' || lower === 'content-location'
    const value = isAddress ? withoutOwnOrigin(raw, host) : raw
    const name = (spelling[lower] ??= rawHeaders[at]!)
    const earlier = block[name]
    if (earlier === undefined) block[name] = value
    else block[name] = typeof earlier === 'string' ? [earlier, value] : [...earlier, value]
  }
  return block
}

function withoutOwnOrigin(location: string, host: string): string {
  const prefix = `http://${host}/`
  return location.toLowerCase().startsWith(prefix) ? location.slice(prefix.length - 1) : location
}
