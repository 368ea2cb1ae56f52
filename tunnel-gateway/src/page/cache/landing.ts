/** What is made of a device's answer, or of its failure: kept, handed to those who wait, or replaced by what is there. */
import { isOwnPage } from '#src/page/layers.ts'
import { headerOf, parseDirectives, withoutHeaders } from './core/directives.ts'
import { isGoodOnError } from './core/freshness.ts'
import type { RequestKind } from './core/sharing.ts'
import { isShareable, planStoring } from './core/storing.ts'
import type { Asked, StorePlan } from './core/storing.ts'
import type { Flight, Landing } from './flight.ts'
import type { KeptAnswer, KeptPages, Place } from './kept-pages.ts'
import { placesOf, valueOf, wantedOf } from './question.ts'
import type { Reader } from './reader.ts'

/** One request to the device, as the layer sees it. */
export interface Asking {
  readonly reader: Reader
  /** What is kept and may no longer be good. */
  readonly found: { readonly place: Place; readonly answer: KeptAnswer } | null
  readonly kind: RequestKind
  /** People may wait for it who have nothing in common but the page. */
  readonly isForAll: boolean
  /** Something was changed since it was asked. */
  isOutdated: boolean
  plan: StorePlan | null
}

export interface Landed {
  readonly landing: Landing
  /** Everybody is to get this instead. */
  readonly answer: KeptAnswer | null
  /** The device, which came anew, has another page than the one that is kept. */
  readonly isOtherPage: boolean
}

/** Of one answer only, or told anew each time. */
const NOT_KEPT: ReadonlySet<string> = new Set(['content-length', 'server-timing', 'age', 'set-cookie'])
const REFRESHED: ReadonlySet<string> = new Set([
  'cache-control',
  'expires',
  'date',
  'etag',
  'last-modified',
  'vary',
])
/** For what names its content and says nothing else; a new firmware may be less careful than its names. */
const HASHED_CACHE_CONTROL = 'private, max-age=3600'

const NOTHING = Buffer.alloc(0)

const replaced = (answer: KeptAnswer): Landed => ({
  landing: { kind: 'replaced' },
  answer,
  isOtherPage: false,
})

/** Decides at the head of an answer. @param now Milliseconds since 1970. */
export function land(
  flight: Flight,
  asking: Asking,
  status: number,
  headers: readonly string[],
  { kept, now }: { kept: KeptPages; now: number },
): Landed {
  const { head } = flight
  const { found, reader } = asking
  if (found !== null && head?.status === 304) return replaced(refresh(flight, asking, kept, now))
  if (found !== null && status >= 500 && isGoodOnError(found.answer, now)) return replaced(found.answer)
  if (head === null) {
    // The failure is everybody's; a page of ours may be made for one.
    const isFailure = status >= 502 && status <= 504 && !isOwnPage(headers)
    const shared = isFailure ? 'all' : 'none'
    return { landing: { kind: 'passed', headers, isKept: false, shared }, answer: null, isOtherPage: false }
  }
  const answered = {
    status,
    headers,
    cacheControl: head.cacheControl,
    setsCookies: head.setCookies.length > 0 || headerOf(headers, 'set-cookie') !== null,
  }
  asking.plan = asking.isOutdated ? null : planStoring(askedOf(flight, reader), answered, now)
  const isPersonal = flight.isAuthorised || parseDirectives(head.cacheControl).has('private')
  const isOnes = !isShareable(answered) || showsPrefix(reader, headers, NOTHING)
  const shared = isOnes ? 'none' : asking.isForAll && isPersonal ? 'own' : 'all'
  return {
    landing: {
      kind: 'passed',
      headers: isSilentlyHashed(asking.plan, head.cacheControl) ? hashedHeaders(headers) : headers,
      isKept: asking.plan !== null,
      shared,
    },
    answer: null,
    isOtherPage: found !== null && status === 200 && isOther(found.answer, flight, headers),
  }
}

/** Puts away a whole body, as it was planned at its head. */
export function keepBody(
  flight: Flight,
  { reader, plan, isOutdated }: Asking,
  headers: readonly string[],
  body: Buffer,
  { kept, now }: { kept: KeptPages; now: number },
): void {
  const { proxied } = reader
  if (plan === null || isOutdated || showsPrefix(reader, headers, body)) return
  const places = placesOf(proxied)
  const [own] = places
  const place = plan.isPersonal ? own! : places.at(-1)!
  kept.put(place, {
    ...plan,
    storedAt: now,
    epoch: flight.epoch,
    firmwareVersion: proxied.record.firmwareVersion,
    status: flight.statusCode,
    headers: withoutHeaders(headers, NOT_KEPT),
    cacheControl: flight.head!.cacheControl,
    body,
    vary: plan.vary.map((name) => ({ name, value: valueOf(proxied, name) })),
    etag: headerOf(headers, 'etag'),
    lastModified: headerOf(headers, 'last-modified'),
    isForAll: place !== own,
  })
}

/** The kept answer with what a 304 says of it now (RFC 9111 section 3.2). */
function refresh(flight: Flight, asking: Asking, kept: KeptPages, now: number): KeptAnswer {
  const { place, answer: old } = asking.found!
  const head = flight.head!
  // The policy's own `Cache-Control` stands in for one that the device did not send.
  const silent = head.cacheControl === '' ? 'cache-control' : ''
  const said: string[] = []
  for (let at = 0; at + 1 < head.headers.length; at += 2) {
    const name = head.headers[at]!.toLowerCase()
    if (REFRESHED.has(name) && name !== silent) said.push(head.headers[at]!, head.headers[at + 1]!)
  }
  const names = new Set(said.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()))
  const headers = [...withoutHeaders(old.headers, names), ...said]
  const cacheControl = head.cacheControl === '' ? old.cacheControl : head.cacheControl
  const asked = askedOf(flight, asking.reader)
  const plan = planStoring(asked, { status: old.status, headers, cacheControl, setsCookies: false }, now)
  const answer = {
    ...old,
    ...(plan ?? { freshMs: 0, staleWhileAskingMs: 0, staleIfErrorMs: 0, ageMs: 0 }),
    vary: old.vary,
    headers,
    cacheControl,
    storedAt: now,
    epoch: flight.epoch,
    etag: headerOf(headers, 'etag'),
    lastModified: headerOf(headers, 'last-modified'),
  }
  kept.drop(place, old)
  // What became one person's own is kept for nobody else.
  const isStillOpen = plan !== null && !(plan.isPersonal && old.isForAll)
  if (isStillOpen && !asking.isOutdated && head.setCookies.length === 0) kept.put(place, answer)
  return answer
}

function askedOf(flight: Flight, { proxied }: Reader): Asked {
  return {
    path: proxied.path,
    cacheControl: wantedOf(proxied),
    isAuthorised: flight.isAuthorised,
    hasCookie: proxied.cookie !== '',
  }
}

function isOther(
  { epoch, etag, lastModified }: KeptAnswer,
  flight: Flight,
  headers: readonly string[],
): boolean {
  if (epoch === flight.epoch) return false
  return etag !== headerOf(headers, 'etag') || lastModified !== headerOf(headers, 'last-modified')
}

function isSilentlyHashed(plan: StorePlan | null, cacheControl: string): boolean {
  return plan !== null && plan.isImmutable && cacheControl === ''
}

function hashedHeaders(headers: readonly string[]): string[] {
  return [...withoutHeaders(headers, new Set(['cache-control'])), 'Cache-Control', HASHED_CACHE_CONTROL]
}

/** An address with a capability in it is good for one person: what a device builds with it is nobody else's. */
function showsPrefix({ proxied }: Reader, headers: readonly string[], body: Buffer): boolean {
  const prefix = proxied.surface === 'frame' ? proxied.prefix : ''
  return prefix !== '' && (body.includes(prefix) || headers.some((text) => text.includes(prefix)))
}
