/** Who may send which request to a device, and from where a browser may have sent it. */
import type { Role } from '@wmoc/protocol/control-plane'

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export function isReading(method: string): boolean {
  return READING.has(method)
}

/** Whether a request asks for a representation of something: GET, HEAD (RFC 9110 section 9.3). */
export function isRetrieval(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** A viewer looks, everybody else also changes things. */
export function mayRequest(role: Role, method: string): boolean {
  return role !== 'viewer' || isReading(method)
}

export interface BrowserHints {
  readonly method: string
  readonly fetchSite: string | undefined
  readonly fetchMode: string | undefined
  readonly fetchDest: string | undefined
  readonly origin: string | undefined
  readonly accept: string | undefined
}

/**
 * On a device's own origin a cookie authorises, so what another site could make a browser send is refused: whatever
 * changes something, and everything but opening the page as a document. Browsers say where a request comes from by
 * `Sec-Fetch-Site`; older ones by `Origin`.
 */
export function isSameOrigin(hints: BrowserHints, ownOrigin: string): boolean {
  const { fetchSite } = hints
  if (fetchSite === 'same-origin' || fetchSite === 'none') return true
  if (fetchSite !== undefined)
    return isReading(hints.method) && hints.fetchMode === 'navigate' && hints.fetchDest === 'document'
  if (hints.origin !== undefined) return hints.origin === ownOrigin
  return isReading(hints.method)
}

/**
 * The browser would show the answer as a document of its own, with the address for everybody to see. A browser that does
 * not say what it wants is taken to, where it asks for a page.
 */
export function opensDocument(hints: BrowserHints): boolean {
  if (hints.fetchDest !== undefined) return hints.fetchDest === 'document'
  return hints.fetchMode === undefined && isReading(hints.method) && ACCEPTS_HTML.test(hints.accept ?? '')
}

const ACCEPTS_HTML = /(?:^|,)\s*text\/html\b/i

/** A person opens a page, rather than a script fetching something. */
export function isNavigation(hints: BrowserHints): boolean {
  if (hints.method !== 'GET' && hints.method !== 'HEAD') return false
  if (hints.fetchMode !== undefined) return hints.fetchMode === 'navigate'
  return ACCEPTS_HTML.test(hints.accept ?? '')
}
