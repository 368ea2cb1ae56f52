/**
 * The header diet: what of a user's request head reaches a device. One table says what may pass and in which order it
 * is kept when the device cannot hold everything (`max_req_header`).
 */
import { HOP_BY_HOP, namesIn } from './header-names.ts'

export interface RequestHeadContext {
  readonly method: string
  readonly path: string
  /** Address of the user as the trusted hops say. */
  readonly clientAddress: string
  readonly scheme: 'http' | 'https'
  /** Host the user asked for. */
  readonly host: string
  /** `/c/{id}` where the device does not own the whole origin; empty: none is told. */
  readonly prefix: string
  /** The device's port that is meant; null: the one of its page. */
  readonly port: number | null
  /** Cookies that belong to the device: from its own origin, or from the jar. */
  readonly cookie: string
  /** `Authorization` that the device gets instead of the request's; null: none. */
  readonly authorization: string | null
  /** The request's `Authorization` is meant for the device: true on its own origin only. */
  readonly mayAuthorise: boolean
  /** Length of the body that is sent on; null when the request has none. */
  readonly bodyLength: number | null
  /** Bytes of head that the device takes. */
  readonly maxBytes: number
  /** W3C `traceparent`, for one that has room for it; empty: none. */
  readonly traceparent: string
  /** `Sec-WebSocket-Protocol` of a WebSocket; empty: none is offered. */
  readonly subprotocols: string
}

export type RequestHead =
  /** Name after value, the names in lower case. */
  | { readonly ok: true; readonly headers: string[] }
  | { readonly ok: false; readonly code: 'uri_too_long' | 'headers_too_large' }

/** Without these the request would mean something else: rather refused than sent without. */
const ESSENTIAL = [
  'content-type',
  'content-encoding',
  'authorization',
  // Without them a person who signed in to the device would look like nobody, and could not tell why.
  'cookie',
  'range',
  'if-range',
  'if-match',
  'if-unmodified-since',
  'sec-websocket-protocol',
  'x-forwarded-port',
] as const
/** Kept in this order as far as the device's room goes. */
const WANTED = [
  'if-none-match',
  'if-modified-since',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-prefix',
  'accept',
  'accept-encoding',
  'cache-control',
  'accept-language',
] as const
const KNOWN: ReadonlySet<string> = new Set([...ESSENTIAL, ...WANTED])

/** Of no use to a device, or told by us and by nobody else. Names that begin like DROPPED_PREFIX too. */
const DROPPED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'host',
  'content-length',
  'expect',
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'client-ip',
  'origin',
  'referer',
  'user-agent',
  'dnt',
  'priority',
  'purpose',
  'early-data',
  'pragma',
  'upgrade-insecure-requests',
  'max-forwards',
  'x-http-method-override',
  'x-original-url',
  'x-rewrite-url',
  'x-request-id',
  'traceparent',
  'tracestate',
])
const DROPPED_PREFIX = /^(?:x-forwarded-|x-wmoc-|x-original-|sec-|cf-|proxy-|x-envoy-|fly-|x-amzn-)/

/**
 * Makes the head that the device gets.
 * @param rawHeaders Name, value, name, value … as they arrived.
 */
export function buildRequestHead(rawHeaders: readonly string[], context: RequestHeadContext): RequestHead {
  const incoming = collect(rawHeaders)
  setOurs(incoming, context)
  let room = context.maxBytes - (context.method.length + context.path.length + ' HTTP/1.1\r\n\r\n'.length + 1)
  if (room < 0) return { ok: false, code: 'uri_too_long' }

  const headers: string[] = []
  const keep = (name: string, values: Values): boolean => {
    const size = sizeOf(name, values)
    if (size > room) return false
    room -= size
    if (typeof values === 'string') headers.push(name, values)
    else for (const value of values) headers.push(name, value)
    return true
  }
  if (context.bodyLength !== null && !keep('content-length', String(context.bodyLength))) return tooLarge
  for (const name of ESSENTIAL) {
    const values = incoming.get(name)
    if (values !== undefined && !keep(name, values)) return tooLarge
  }
  for (const name of WANTED) {
    const values = incoming.get(name)
    if (values !== undefined) keep(name, values)
  }
  for (const [name, values] of incoming) if (!KNOWN.has(name)) keep(name, values)
  if (context.traceparent !== '') keep('traceparent', context.traceparent)
  return { ok: true, headers }
}

const tooLarge = { ok: false, code: 'headers_too_large' } as const

/** Of one name: mostly there is one. */
type Values = string | string[]

function sizeOf(name: string, values: Values): number {
  if (typeof values === 'string') return name.length + values.length + 4
  return values.reduce((sum, value) => sum + name.length + value.length + 4, 0)
}

/** What may pass, by name. Hop-by-hop headers and what `Connection` names go first. */
function collect(rawHeaders: readonly string[]): Map<string, Values> {
  const all = new Map<string, Values>()
  let connection: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase()
    const value = rawHeaders[index + 1]!
    if (name === 'connection') connection = connection.concat(namesIn(value))
    if (DROPPED.has(name) || DROPPED_PREFIX.test(name)) continue
    const values = all.get(name)
    if (values === undefined) all.set(name, value)
    else if (typeof values === 'string') all.set(name, [values, value])
    else values.push(value)
  }
  for (const name of connection) all.delete(name)
  return all
}

/** Set after the removal, so that nothing from outside can take these away or imitate them. */
function setOurs(headers: Map<string, Values>, context: RequestHeadContext): void {
  if (context.authorization !== null) headers.set('authorization', context.authorization)
  else if (!context.mayAuthorise) headers.delete('authorization')
  headers.delete('cookie')
  if (context.cookie !== '') headers.set('cookie', context.cookie)
  headers.set('x-forwarded-for', context.clientAddress)
  headers.set('x-forwarded-proto', context.scheme)
  headers.set('x-forwarded-host', context.host)
  if (context.prefix !== '') headers.set('x-forwarded-prefix', context.prefix)
  if (context.port !== null) headers.set('x-forwarded-port', String(context.port))
  if (context.subprotocols !== '') headers.set('sec-websocket-protocol', context.subprotocols)
}
