/** What a kept answer is to a request with conditions or a range: RFC 9110 sections 13 and 14. */
import { headerOf } from './directives.ts'

export interface Kept {
  readonly status: number
  readonly headers: readonly string[]
  readonly length: number
}

export type Selected =
  | { readonly kind: 'whole' }
  | { readonly kind: 'not_modified' }
  /** `end` is the last byte, as in `Content-Range`. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

/** Decides what to send of a kept answer. @param request The request's headers, name after value. */
export function select(method: string, request: readonly string[], kept: Kept): Selected {
  if (kept.status === 200 && isUnchanged(request, kept.headers)) return { kind: 'not_modified' }
  const range = method === 'GET' && kept.status === 200 ? headerOf(request, 'range') : null
  if (range === null || !isRangeAllowed(request, kept.headers)) return { kind: 'whole' }
  return parseRange(range, kept.length)
}

/** `If-None-Match` goes before `If-Modified-Since`, which only counts as the date that the device gave (section 13.2.2). */
function isUnchanged(request: readonly string[], headers: readonly string[]): boolean {
  const tags = headerOf(request, 'if-none-match')
  if (tags !== null) return matchesWeakly(tags, headerOf(headers, 'etag'))
  const since = headerOf(request, 'if-modified-since')
  const modified = headerOf(headers, 'last-modified')
  if (since === null || modified === null) return false
  return since === modified || Date.parse(modified) <= Date.parse(since)
}

/** Whether a list of entity tags names this one (RFC 9110 section 8.8.3.2, weak comparison). */
export function matchesWeakly(list: string, tag: string | null): boolean {
  if (list.trim() === '*') return true
  if (tag === null) return false
  const opaque = tag.replace(/^W\//, '')
  return (list.match(/(?:W\/)?"[^"]*"/g) ?? []).some((given) => given.replace(/^W\//, '') === opaque)
}

/** `If-Range` needs a strong match (section 13.1.5); dates are matched exactly. */
function isRangeAllowed(request: readonly string[], headers: readonly string[]): boolean {
  const condition = headerOf(request, 'if-range')
  if (condition === null) return true
  if (condition.startsWith('"')) return condition === headerOf(headers, 'etag')
  return !condition.startsWith('W/') && condition === headerOf(headers, 'last-modified')
}

/** One range of bytes; several, and other units, are answered whole, as section 14.2 allows. */
function parseRange(value: string, length: number): Selected {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(value.replaceAll(/[ \t]/g, ''))
  if (match === null || (match[1] === '' && match[2] === '')) return { kind: 'whole' }
  const [, from, to] = match as unknown as [string, string, string]
  if (from === '') {
    const suffix = Number(to)
    if (suffix === 0 || length === 0) return { kind: 'unsatisfiable' }
    return { kind: 'part', start: Math.max(0, length - suffix), end: length - 1 }
  }
  const start = Number(from)
  if (to !== '' && Number(to) < start) return { kind: 'whole' }
  if (start >= length) return { kind: 'unsatisfiable' }
  return { kind: 'part', start, end: to === '' ? length - 1 : Math.min(Number(to), length - 1) }
}
