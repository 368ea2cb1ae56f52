/** Which answers of a device may be kept, for whom and how long: RFC 9111 section 3, and what pages of devices need. */
import { headerOf, parseDirectives } from './directives.ts'
import { hasHashInName } from './hashed-name.ts'

/** The request that the device got. */
export interface Asked {
  readonly path: string
  /** Its `Cache-Control`; empty: none. */
  readonly cacheControl: string
  /** It carried an `Authorization`, the user's or one that was put in. */
  readonly isAuthorised: boolean
  /** It carried cookies of the device. */
  readonly hasCookie: boolean
}

/** The device's answer; `cacheControl` as it said it, the headers as users get them. */
export interface Answered {
  readonly status: number
  readonly headers: readonly string[]
  readonly cacheControl: string
  readonly setsCookies: boolean
}

export interface StorePlan {
  /** Whether it is for everybody who may see the page, as far as its owner shares at all. */
  readonly isPersonal: boolean
  /** Time from the answer on in which it is good without asking. */
  readonly freshMs: number
  /** After that: good while it is being asked (RFC 5861 section 3), and while the device fails (section 4). */
  readonly staleWhileAskingMs: number
  readonly staleIfErrorMs: number
  /** It names its content: nothing but another firmware makes another one of it. */
  readonly isImmutable: boolean
  /** Age at its arrival. */
  readonly ageMs: number
  /** Request headers that another request must share, lower case. */
  readonly vary: readonly string[]
}

const STATUSES: ReadonlySet<number> = new Set([200, 203, 404, 410])
const MAX_VARY = 8
/** What a name with a hash is good for, where the device says nothing. */
const HASHED_MS = 7 * 86_400_000

/**
 * Null: it must not be kept. Devices' clocks are wrong more often than not, so that ages are counted by ours:
 * `Expires` counts from the answer's own `Date`, and a `Date` alone makes nothing old.
 */
export function planStoring(asked: Asked, answered: Answered, now: number): StorePlan | null {
  const said = parseDirectives(answered.cacheControl)
  const { status, headers } = answered
  if (!STATUSES.has(status) || answered.setsCookies || said.has('no-store')) return null
  if (parseDirectives(asked.cacheControl).has('no-store')) return null
  if (headers.some((name, at) => at % 2 === 0 && isBound(name)) || isEndless(headers)) return null
  const named = varyOf(headers)
  if (named === null) return null

  const isOpen = said.has('public') || said.has('s-maxage')
  const isPersonal = said.has('private') || ((asked.isAuthorised || asked.hasCookie) && !isOpen)
  const isSilent = answered.cacheControl === '' && headerOf(headers, 'expires') === null
  const isHashed = isSilent && status === 200 && hasHashInName(asked.path)
  const freshMs = said.has('no-cache') ? 0 : isHashed ? HASHED_MS : lifetimeMs(said, headers, now)
  const mustAsk = said.has('must-revalidate') || said.has('proxy-revalidate') || said.has('no-cache')
  const staleMs = (name: string) => (mustAsk ? 0 : (said.seconds(name) ?? 0) * 1_000)
  const staleWhileAskingMs = staleMs('stale-while-revalidate')
  if (freshMs === 0 && staleWhileAskingMs === 0 && !hasValidator(headers)) return null
  if (status !== 200 && freshMs === 0) return null
  const isImmutable = isHashed || said.has('immutable')
  // Two browsers of one person may be signed in to the device as two users, which it knows by its cookie.
  const implied = isImmutable || isOpen ? [] : impliedVary(asked)
  return {
    isPersonal,
    freshMs,
    staleWhileAskingMs,
    staleIfErrorMs: staleMs('stale-if-error'),
    isImmutable,
    ageMs: ageOf(headers),
    vary: [...new Set([...named, ...implied])],
  }
}

/** Whether the answer to one request may be handed to equal ones that wait for it. */
export function isShareable(answered: Answered): boolean {
  return (
    !answered.setsCookies &&
    !parseDirectives(answered.cacheControl).has('no-store') &&
    !isEndless(answered.headers) &&
    varyOf(answered.headers) !== null
  )
}

/** `Expires` and `max-age` after a 304 took the place of those that were kept (RFC 9111 section 3.2). */
export function hasValidator(headers: readonly string[]): boolean {
  return headerOf(headers, 'etag') !== null || headerOf(headers, 'last-modified') !== null
}

/** Headers that are of one address or one request, and so of no other one's answer. */
function isBound(name: string): boolean {
  return /^(?:location|content-location|refresh|content-range|www-authenticate)$/i.test(name)
}

/** Events and streams of pictures have no end that is worth waiting for. */
export function isEndless(headers: readonly string[]): boolean {
  return /^(?:text\/event-stream|multipart\/)/i.test(headerOf(headers, 'content-type') ?? '')
}

function varyOf(headers: readonly string[]): string[] | null {
  const names = (headerOf(headers, 'vary') ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
  return names.includes('*') || names.length > MAX_VARY ? null : names
}

function impliedVary({ hasCookie, isAuthorised }: Asked): string[] {
  return [...(hasCookie ? ['cookie'] : []), ...(isAuthorised ? ['authorization'] : [])]
}

function lifetimeMs(
  said: ReturnType<typeof parseDirectives>,
  headers: readonly string[],
  now: number,
): number {
  const seconds = said.seconds('s-maxage') ?? said.seconds('max-age')
  if (seconds !== null) return seconds * 1_000
  const expires = headerOf(headers, 'expires')
  if (expires === null) return 0
  const date = Date.parse(headerOf(headers, 'date') ?? '')
  const lifetime = Date.parse(expires) - (Number.isNaN(date) ? now : date)
  return Number.isNaN(lifetime) ? 0 : Math.max(0, lifetime)
}

function ageOf(headers: readonly string[]): number {
  const age = headerOf(headers, 'age')
  return age !== null && /^\d{1,10}$/.test(age) ? Number(age) * 1_000 : 0
}
