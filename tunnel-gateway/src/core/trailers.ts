/** Trailers, in both directions: a few names that inform and decide nothing (RFC 9110 section 6.5.1). */
import { BAD_VALUE, HEADER_NAME } from './header-names.ts'
import type { HeaderBlock } from './header-names.ts'

const ALLOWED: ReadonlySet<string> = new Set([
  'content-digest',
  'digest',
  'grpc-message',
  'grpc-status',
  'repr-digest',
  'server-timing',
])
/** Of the names that begin with `x-`, those that somebody on the way could believe. */
const REFUSED_PREFIXES = [
  'x-accel-',
  'x-amzn-',
  'x-client-',
  'x-cluster-',
  'x-content-type-',
  'x-envoy-',
  'x-forwarded-',
  'x-frame-',
  'x-http-method',
  'x-original-',
  'x-real-',
  'x-rewrite-',
  'x-sendfile',
  'x-wmoc-',
]
const MAX_TRAILERS = 16
const MAX_BYTES = 2_048

/**
 * The trailers that may pass, as name, value, name, value … with names in lower case. What may not is dropped: a
 * message is whole without its trailers.
 * @param given Pairs in the same form, or a header block.
 */
export function allowedTrailers(given: readonly string[] | HeaderBlock): string[] {
  const out: string[] = []
  let room = MAX_BYTES
  for (const [name, value] of pairsOf(given)) {
    if (out.length === 2 * MAX_TRAILERS) break
    if (typeof value !== 'string' || !isAllowed(name) || BAD_VALUE.test(value)) continue
    room -= name.length + value.length + 4
    if (room < 0) break
    out.push(name, value)
  }
  return out
}

function isAllowed(name: string): boolean {
  if (!HEADER_NAME.test(name)) return false
  if (ALLOWED.has(name)) return true
  return name.startsWith('x-') && !REFUSED_PREFIXES.some((prefix) => name.startsWith(prefix))
}

function* pairsOf(given: readonly string[] | HeaderBlock): Generator<[name: string, value: unknown]> {
  if (isList(given)) {
    for (let index = 0; index + 1 < given.length; index += 2)
      yield [given[index]!.toLowerCase(), given[index + 1]]
    return
  }
  for (const [name, value] of Object.entries(given))
    for (const one of Array.isArray(value) ? value : [value]) yield [name.toLowerCase(), one]
}

function isList(given: readonly string[] | HeaderBlock): given is readonly string[] {
  return Array.isArray(given)
}
