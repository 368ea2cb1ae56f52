/** Which requests may wait for one answer of the device together. */
import { parseDirectives } from './directives.ts'

/** Loaded by the page itself: the browser asks for them, no script that means something by asking. */
const SUBRESOURCES: ReadonlySet<string> = new Set([
  'script',
  'style',
  'image',
  'font',
  'manifest',
  'document',
  'iframe',
  'frame',
  'audio',
  'video',
  'track',
])

/** `load`: a part of a page. `script`: something that a page's script asks for, or nobody knows. */
export type RequestKind = 'load' | 'script'

/** @param destination `Sec-Fetch-Dest`. */
export function kindOf(destination: string | null): RequestKind {
  return destination !== null && SUBRESOURCES.has(destination) ? 'load' : 'script'
}

/**
 * Whether a GET may wait for the answer to an equal one. Many devices take commands as `GET /cm?cmnd=…`, and two clicks
 * are two commands: what a script asks with a query goes to the device each time, unless its answer may be kept.
 */
export function mayShare(kind: RequestKind, path: string, cacheControl: string): boolean {
  const wanted = parseDirectives(cacheControl)
  if (wanted.has('no-store')) return false
  return kind === 'load' || !path.includes('?')
}
