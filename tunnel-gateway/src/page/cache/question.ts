/** What a request asks for, in the words of the cache. */
import { blockOf } from '#src/core/header-names.ts'
import { buildRequestHead } from '#src/core/request-headers.ts'
import { headersOf } from '#src/user/outgoing.ts'
import { holderOf } from '#src/user/principal.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { headerOf, withoutHeaders } from './core/directives.ts'
import type { KeptAnswer, Place } from './kept-pages.ts'

/** Everybody with access to the controller. */
export const EVERYBODY = '*'

const CONDITIONS: ReadonlySet<string> = new Set([
  'if-none-match',
  'if-modified-since',
  'if-range',
  'if-match',
  'if-unmodified-since',
  'range',
])
/** Of the one who asks, and without a meaning for what is answered. */
const OF_THE_USER = /^(?:x-forwarded-|cache-control$)/

/** Without the prefix, which is each one's own. */
export function addressOf({ surface, port, path }: ProxyRequest): string {
  return `${surface} ${port ?? ''} ${path}`
}

/** The places where an answer to this request may be kept: the person's own first, that of most people last. */
export function placesOf(proxied: ProxyRequest): Place[] {
  const { principal, record } = proxied
  const { controllerId, pageCache } = record
  const address = addressOf(proxied)
  const holders = [
    holderOf(principal),
    ...(principal.linkId === undefined ? [] : [principal.linkId]),
    ...(pageCache === 'public' ? [EVERYBODY] : []),
  ]
  return holders.map((holder) => ({ controllerId, holder, address }))
}

/**
 * With whom the person may wait for one answer, as long as nothing shows that it is for one alone: everybody where the
 * owner says so, guests of one link; null: with nobody else.
 */
export function companyOf(proxied: ProxyRequest): string | null {
  const { cookie, principal, record, request, surface } = proxied
  if (cookie !== '' || request.headers.authorization !== undefined) return null
  if (principal.linkId !== undefined) return principal.linkId
  return record.pageCache === 'public' && surface === 'own_origin' ? EVERYBODY : null
}

/** Whether a kept answer is one to this request (RFC 9111 section 4.1). */
export function matchesVary(proxied: ProxyRequest, { vary }: KeptAnswer): boolean {
  return vary.every(({ name, value }) => valueOf(proxied, name) === value)
}

/** A header as the device sees it; null: it sees none. @param name Lower case. */
export function valueOf(proxied: ProxyRequest, name: string): string | null {
  if (name === 'cookie') return proxied.cookie === '' ? null : proxied.cookie
  return headerOf(headersOf(proxied), name)
}

/** `Cache-Control`, or what the older `Pragma` says in its place. */
export function wantedOf(proxied: ProxyRequest): string {
  const headers = headersOf(proxied)
  return headerOf(headers, 'cache-control') ?? headerOf(headers, 'pragma') ?? ''
}

/** The request's headers with the conditions that are ours in place of the user's. */
export function askingFor(proxied: ProxyRequest, { etag, lastModified }: KeptAnswer): string[] {
  const headers = withoutHeaders(headersOf(proxied), CONDITIONS)
  if (etag !== null) headers.push('If-None-Match', etag)
  if (lastModified !== null) headers.push('If-Modified-Since', lastModified)
  return headers
}

/**
 * Names requests that the device can't tell from each other.
 * @param headers What it would get, before the diet.
 */
export function fingerprint(proxied: ProxyRequest, headers: readonly string[]): string {
  const head = buildRequestHead(headers, {
    method: 'GET',
    path: '',
    clientAddress: '',
    scheme: 'http',
    host: '',
    prefix: '',
    port: null,
    cookie: proxied.cookie,
    authorization: proxied.deviceAuthorization,
    mayAuthorise: proxied.surface !== 'api',
    bodyLength: null,
    maxBytes: Infinity,
    traceparent: '',
    subprotocols: '',
  })
  const seen = head.ok
    ? Object.entries(blockOf(head.headers)).filter(([name]) => !OF_THE_USER.test(name))
    : []
  return JSON.stringify([addressOf(proxied), proxied.isNavigation, seen])
}
