/** Which answers are worth compressing on the way to a browser, and how their entity tags say so. */
import { headerOf, withoutHeaders } from './directives.ts'

export type Coding = 'br' | 'gzip'

/** At the end of an entity tag: of the same content, compressed by us (RFC 9110 section 8.8.3.3). */
export const TAG_MARK = '-wmoc'
/** Below this a compressed answer is not smaller by a packet. */
const MIN_BYTES = 1_024
const TYPES =
  /^(?:text\/(?!event-stream)|application\/(?:json|javascript|xml|xhtml\+xml|manifest\+json|wasm|ld\+json)\b|image\/(?:svg\+xml|bmp|x-icon|vnd\.microsoft\.icon)\b|font\/(?:ttf|otf)\b)/i

/** The coding that the browser takes and we prefer; null: none (RFC 9110 section 12.5.3). */
export function codingFor(acceptEncoding: string): Coding | null {
  const weights = new Map<string, number>()
  for (const part of acceptEncoding.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    const q = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = q === undefined ? 1 : Number(q.slice(2))
    if (name !== '') weights.set(name, Number.isNaN(weight) ? 0 : weight)
  }
  const any = weights.get('*') ?? 0
  const br = weights.get('br') ?? any
  const gzip = weights.get('gzip') ?? any
  if (br <= 0 && gzip <= 0) return null
  return br >= gzip ? 'br' : 'gzip'
}

/** Whether an answer is to be compressed. Partial ones, such as have a coding, and small ones go as they are. */
export function isCompressible(status: number, headers: readonly string[]): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false
  if (headerOf(headers, 'content-encoding') !== null || headerOf(headers, 'content-range') !== null)
    return false
  if (/\bno-transform\b/i.test(headerOf(headers, 'cache-control') ?? '')) return false
  const length = headerOf(headers, 'content-length')
  if (length !== null && Number(length) < MIN_BYTES) return false
  return TYPES.test(headerOf(headers, 'content-type') ?? '')
}

/** The head of the compressed answer. */
export function compressedHeaders(headers: readonly string[], coding: Coding): string[] {
  return [...markTag(withVary(withoutHeaders(headers, LENGTH))), 'Content-Encoding', coding]
}

const LENGTH: ReadonlySet<string> = new Set(['content-length', 'accept-ranges'])

/** Says that another browser could have got another coding. */
export function withVary(headers: readonly string[]): string[] {
  const vary = headerOf(headers, 'vary')
  if (vary !== null && /(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i.test(vary)) return [...headers]
  const value = vary === null ? 'Accept-Encoding' : `${vary}, Accept-Encoding`
  return [...withoutHeaders(headers, VARY), 'Vary', value]
}

const VARY: ReadonlySet<string> = new Set(['vary'])

/** A strong entity tag is of other bytes than these; a weak one is of the same meaning, and stays. */
export function markTag(headers: readonly string[]): string[] {
  return headers.map((value, at) =>
    at % 2 === 1 && headers[at - 1]!.toLowerCase() === 'etag' && value.startsWith('"')
      ? `${value.slice(0, -1)}${TAG_MARK}"`
      : value,
  )
}

const TAG_FIELDS: ReadonlySet<string> = new Set(['if-none-match', 'if-match', 'if-range'])

/**
 * The request as the device's entity tags are, and whether it named one of ours. A range of a compressed answer can't be
 * had: then the whole is sent.
 */
export function unmarkTags(headers: readonly string[]): { headers: readonly string[]; isMarked: boolean } {
  const isField = (at: number) => at % 2 === 1 && TAG_FIELDS.has(headers[at - 1]!.toLowerCase())
  if (!headers.some((value, at) => isField(at) && value.includes(`${TAG_MARK}"`)))
    return { headers, isMarked: false }
  const range = headerOf(headers, 'if-range')
  const kept = range?.endsWith(`${TAG_MARK}"`) ? withoutHeaders(headers, RANGES) : headers
  const unmarked = kept.map((value, at) =>
    at % 2 === 1 && TAG_FIELDS.has(kept[at - 1]!.toLowerCase())
      ? value.replaceAll(`${TAG_MARK}"`, '"')
      : value,
  )
  return { headers: unmarked, isMarked: true }
}

const RANGES: ReadonlySet<string> = new Set(['range', 'if-range'])
