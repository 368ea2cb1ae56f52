/**
 * What of a device's response head reaches a user. Both surfaces share one table; what differs is said in `Surface`.
 * A violation is the device's fault (502 `bad_device_response`) and never becomes bytes on the user's connection.
 */
import type { HeaderList } from '@wmoc/protocol/v2/mux'
import type { PagePlace } from '#src/page/shim/addresses.ts'
import { ownOriginSetCookies } from './cookie-rules.ts'
import { BAD_VALUE, HEADER_NAME, HOP_BY_HOP, namesIn } from './header-names.ts'
import { rewriteReference, rewriteRefresh } from './location-rewrite.ts'
import type { DeviceHead } from './upstream.ts'

/**
 * Where the response is shown: on the device's own origin, in a sandboxed frame of the portal's shell, or to an API
 * client on the portal's host.
 */
export type Surface = 'own_origin' | 'frame' | 'api'

export interface ResponseContext {
  readonly surface: Surface
  readonly method: string
  /** Where the page lies for whoever asked. */
  readonly place: PagePlace
}

export interface ResponseHead {
  readonly ok: true
  readonly status: number
  /** Name, value, name, value …; framing is not among them. */
  readonly headers: string[]
  /** No body may follow (RFC 9112 section 6.3); what the device sends as one is dropped. */
  readonly isBodiless: boolean
  /** `Set-Cookie` values as the device sent them, for the jar of the API surface. */
  readonly setCookies: readonly string[]
  /** What the device said of the body's length; null: nothing that could be believed. */
  readonly declaredLength: number | null
  /** Readable events (`text/event-stream`, not compressed): it may end between two of them. */
  readonly isEventStream: boolean
  /** `Cache-Control` as the device sent it; empty: not at all. */
  readonly cacheControl: string
}
export type Violation = { readonly ok: false; readonly reason: string }

const MAX_HEADERS = 64
const MAX_HEADER_BYTES = 16_384
const LENGTH = /^\d{1,15}$/
const EVENT_STREAM = /^text\/event-stream(?:;|$)/i

const DROPPED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  // Would speak for the whole host, or for the connection.
  'service-worker-allowed',
  'clear-site-data',
  'strict-transport-security',
  'alt-svc',
  'nel',
  'report-to',
  'reporting-endpoints',
  'public-key-pins',
  'public-key-pins-report-only',
  'origin-agent-cluster',
  'expect-ct',
  'set-cookie2',
  'set-login',
  'use-as-dictionary',
  'accept-ch',
  'critical-ch',
  // Ours replace them.
  'x-content-type-options',
  'referrer-policy',
  'cross-origin-resource-policy',
  // Orders to caches and proxies on the way.
  'surrogate-control',
  'cdn-cache-control',
  'cloudflare-cdn-cache-control',
  'x-sendfile',
  'x-lighttpd-send-file',
  'x-request-id',
])
/** `secure-session-` and `sec-session-`: a session of the browser with the host (Device Bound Session Credentials). */
const DROPPED_PREFIX =
  /^(?:access-control-|x-accel-|x-wmoc-|proxy-|secure-session-|sec-session-|attribution-reporting-)/

/** Checks and rewrites the head of a device's response. */
export function buildResponseHead(head: DeviceHead, context: ResponseContext): ResponseHead | Violation {
  const { status } = head
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599)
    return bad('status')
  const fields: Fields = { flat: [], cookies: [], bytes: 0, named: null }
  const fault = head.list === undefined ? addObject(fields, head.headers) : addList(fields, head.list)
  if (fault !== null) return bad(fault)
  const isBodiless = context.method === 'HEAD' || status === 204 || status === 205 || status === 304
  const out: string[] = []
  const { flat, cookies: setCookies, named } = fields
  const seen = { cacheControl: '', hasValidator: false, type: '', isEncoded: false, length: '' }
  for (let at = 0; at < flat.length; at += 3) {
    const name = flat[at]!
    const lower = flat[at + 1]!
    const value = flat[at + 2]!
    if (DROPPED.has(lower) || named?.has(lower) === true || DROPPED_PREFIX.test(lower)) continue
    switch (lower) {
      case 'content-length':
        // Without a body the figure is information and frames nothing; with one, the gateway counts itself.
        if (isBodiless && status !== 204 && seen.length === '' && LENGTH.test(value)) out.push(name, value)
        // Two lengths, even of one value, are as good as none.
        seen.length += `${seen.length === '' ? '' : ','}${value}`
        break
      case 'cache-control':
        seen.cacheControl += `${seen.cacheControl === '' ? '' : ','}${value}`
        break
      case 'location':
      case 'content-location': {
        const reference = rewriteReference(value, context.place)
        if (reference !== null) out.push(name, reference)
        else if (lower === 'location') return bad('location')
        break
      }
      case 'refresh': {
        const refresh = rewriteRefresh(value, context.place)
        if (refresh !== null) out.push(name, refresh)
        break
      }
      case 'x-frame-options':
        // In a frame it is the shell that shows the page, whatever the device thinks of that.
        if (context.surface !== 'frame') out.push(name, value)
        break
      case 'content-security-policy': {
        const policy = context.surface === 'frame' ? withoutFraming(value) : value
        if (policy !== '') out.push(name, policy)
        break
      }
      default:
        if (lower === 'etag' || lower === 'last-modified') seen.hasValidator = true
        if (lower === 'content-type') seen.type = value
        if (lower === 'content-encoding') seen.isEncoded = true
        out.push(name, value)
    }
  }
  if (seen.type === '' && !isBodiless) out.push('Content-Type', 'application/octet-stream')
  out.push('Cache-Control', cacheControl(seen.cacheControl, seen.hasValidator))
  addSecurity(out, context.surface)
  if (context.surface === 'own_origin')
    for (const cookie of ownOriginSetCookies(setCookies)) out.push('Set-Cookie', cookie)
  return {
    ok: true,
    status,
    headers: out,
    isBodiless,
    setCookies,
    declaredLength: LENGTH.test(seen.length) ? Number(seen.length) : null,
    isEventStream: !seen.isEncoded && EVENT_STREAM.test(seen.type),
    cacheControl: seen.cacheControl,
  }
}

/** A policy, or several by commas, without what it says of who may show the document. */
function withoutFraming(policy: string): string {
  return policy
    .split(',')
    .map((one) =>
      one
        .split(';')
        .filter((directive) => !/^\s*frame-ancestors(?:\s|$)/i.test(directive))
        .join(';')
        .trim(),
    )
    .filter((one) => one !== '')
    .join(', ')
}

function addSecurity(out: string[], surface: Surface): void {
  // The rest is said at the frame's own border, where answers of ours pass too (`user/frame-answer.ts`).
  if (surface === 'frame') return
  out.push('X-Content-Type-Options', 'nosniff', 'Cross-Origin-Resource-Policy', 'same-origin')
  // Policies add up: the device's own stays and ours can only narrow it.
  if (surface === 'api') out.push('Referrer-Policy', 'no-referrer', 'Content-Security-Policy', 'sandbox')
  else out.push('Referrer-Policy', 'same-origin', 'Content-Security-Policy', "frame-ancestors 'self'")
}

/** Only the person's own browser may keep an authorised response. */
function cacheControl(given: string, hasValidator: boolean): string {
  const directives = namesIn(given).filter(
    (directive) => !/^(?:public|private|s-maxage|proxy-revalidate|must-understand)(?:=|$)/.test(directive),
  )
  if (directives.length > 0) return ['private', ...directives].join(', ')
  return hasValidator ? 'private, no-cache' : 'private, no-store'
}

/** Sound headers in bounds. */
interface Fields {
  /** Name, name in lower case, value; and so on. */
  readonly flat: string[]
  readonly cookies: string[]
  bytes: number
  /** What `Connection` names. */
  named: Set<string> | null
}

/** The headers that a frame carried: its names are in lower case. Words: why not. */
function addList(fields: Fields, list: HeaderList): string | null {
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at]!
    if (!HEADER_NAME.test(name)) return 'header_name'
    const fault = add(fields, name, name, list[at + 1])
    if (fault !== null) return fault
  }
  return null
}

/** The header object of a device: only strings and arrays of strings. */
function addObject(fields: Fields, headers: unknown): string | null {
  if (headers === undefined || headers === null) return null
  if (typeof headers !== 'object' || Array.isArray(headers)) return 'headers'
  for (const [name, given] of Object.entries(headers as Record<string, unknown>)) {
    if (!HEADER_NAME.test(name)) return 'header_name'
    const lower = name.toLowerCase()
    if (!Array.isArray(given)) {
      const fault = add(fields, name, lower, given)
      if (fault !== null) return fault
      continue
    }
    for (const value of given as unknown[]) {
      const fault = add(fields, name, lower, value)
      if (fault !== null) return fault
    }
  }
  return null
}

function add(fields: Fields, name: string, lower: string, value: unknown): string | null {
  if (typeof value !== 'string' || BAD_VALUE.test(value)) return 'header_value'
  const octets = toOctets(value.trim())
  if (lower === 'set-cookie') {
    // Too many are dropped and no violation: their own rules say how many a device may set.
    fields.cookies.push(octets)
    return null
  }
  fields.bytes += name.length + octets.length + 4
  if (fields.flat.length === 3 * MAX_HEADERS || fields.bytes > MAX_HEADER_BYTES) return 'header_size'
  fields.flat.push(name, lower, octets)
  if (lower === 'connection') addNamed(fields, octets)
  return null
}

function addNamed(fields: Fields, value: string): void {
  fields.named ??= new Set()
  // A device cannot take away what protects the user by naming it.
  for (const listed of namesIn(value)) if (listed !== 'location') fields.named.add(listed)
}

const encoder = new TextEncoder()
/** V8 answers this without looking when the string is one-byte, as nearly all are. */
const BEYOND_LATIN1 = /[\u0100-\uffff]/

/** One character per octet, as HTTP/1.1 writes them; text beyond Latin-1 goes as its UTF-8 octets. */
function toOctets(value: string): string {
  if (!BEYOND_LATIN1.test(value)) return value
  return Array.from(encoder.encode(value), (octet) => String.fromCharCode(octet)).join('')
}

function bad(reason: string): Violation {
  return { ok: false, reason }
}
