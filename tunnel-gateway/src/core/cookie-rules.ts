/** Cookies of devices: what a device may set on its own origin, which request cookies are the device's, and the jar. */

/** Names that only the gateway sets; compared in lower case. */
const RESERVED = [
  '__host-wmoc',
  '__secure-wmoc',
  '__http-wmoc',
  '__host-http-wmoc',
  'wmoc_',
  '__host-session',
  '__secure-session',
]
const MAX_COOKIES = 20
const MAX_COOKIE_BYTES = 4_096
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// oxlint-disable-next-line no-control-regex
const BAD = /[\x00-\x1f\x7f]/

export function isReservedCookie(name: string): boolean {
  const lower = name.toLowerCase()
  return RESERVED.some((prefix) => lower.startsWith(prefix))
}

interface SetCookie {
  readonly name: string
  readonly value: string
  readonly attributes: readonly (readonly [name: string, value: string])[]
}

function parseSetCookie(text: string): SetCookie | null {
  if (text.length > MAX_COOKIE_BYTES || BAD.test(text)) return null
  const [pair, ...rest] = text.split(';')
  const equals = pair!.indexOf('=')
  // A cookie without a name could be read as one with any name by the next parser on the way.
  if (equals <= 0) return null
  const name = pair!.slice(0, equals).trim()
  if (!NAME.test(name) || isReservedCookie(name)) return null
  const attributes = rest.map((part) => {
    const at = part.indexOf('=')
    return at < 0
      ? ([part.trim().toLowerCase(), ''] as const)
      : ([part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const)
  })
  return { name, value: pair!.slice(equals + 1).trim(), attributes }
}

const KEPT: Readonly<Record<string, string>> = { path: 'Path', 'max-age': 'Max-Age', expires: 'Expires' }
const SAME_SITE: Readonly<Record<string, string>> = { strict: 'Strict', lax: 'Lax', none: 'Lax' }

/**
 * `Set-Cookie` on the device's own origin (RFC 6265bis): no Domain, always Secure, no reserved name, at most 20 and
 * 4 KB each.
 */
export function ownOriginSetCookies(values: readonly string[]): string[] {
  const out: string[] = []
  for (const text of values) {
    const cookie = parseSetCookie(text)
    if (cookie === null) continue
    let line = `${cookie.name}=${cookie.value}`
    let sameSite = ''
    let isHttpOnly = false
    for (const [name, value] of cookie.attributes) {
      if (KEPT[name] !== undefined) line += `; ${KEPT[name]}=${value}`
      else if (name === 'httponly') isHttpOnly = true
      else if (name === 'samesite') sameSite = SAME_SITE[value.toLowerCase()] ?? ''
    }
    out.push(
      `${line}; Secure${isHttpOnly ? '; HttpOnly' : ''}${sameSite === '' ? '' : `; SameSite=${sameSite}`}`,
    )
    if (out.length === MAX_COOKIES) break
  }
  return out
}

/** The device's part of a `Cookie` header: everything but what the gateway set. */
export function deviceCookies(header: string): string {
  if (!/wmoc|session/i.test(header)) return header
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '' && !isReservedCookie(pair.split('=', 1)[0]!.trim()))
    .join('; ')
}

/** One value of one cookie from a `Cookie` header; the first of several. */
export function readCookie(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return null
}

/** Cookies kept for a caller that has none of its own (surface C): per sign-in session and controller. */
export interface JarCookie {
  readonly name: string
  readonly value: string
  readonly path: string
  /** Milliseconds since 1970; null until the jar itself ends. */
  readonly expiresAt: number | null
  /** Kept from scripts; a jar of before they could ask does not say. */
  readonly isHttpOnly?: boolean | undefined
}

/**
 * The jar after a response, or after a script set a cookie, which can neither make nor change one that is kept from
 * scripts (RFC 6265bis section 5.7).
 */
export function updateJar(
  jar: readonly JarCookie[],
  values: readonly string[],
  requestPath: string,
  now: number,
  isScript = false,
): JarCookie[] {
  const next = jar.filter((cookie) => cookie.expiresAt === null || cookie.expiresAt > now)
  for (const text of values.slice(0, MAX_COOKIES)) {
    const cookie = parseSetCookie(text)
    if (cookie === null) continue
    const attributes = new Map(cookie.attributes)
    const given = attributes.get('path') ?? ''
    const path = given.startsWith('/') ? given : defaultPath(requestPath)
    const at = next.findIndex((other) => other.name === cookie.name && other.path === path)
    const isHttpOnly = attributes.has('httponly')
    if (isScript && (isHttpOnly || isHidden(next[at]))) continue
    if (at >= 0) next.splice(at, 1)
    const expiresAt = expiryOf(attributes, now)
    if (expiresAt === null || expiresAt > now)
      next.push({ name: cookie.name, value: cookie.value, path, expiresAt, isHttpOnly })
  }
  return next.slice(-MAX_COOKIES)
}

/** The `Cookie` header for a path; longer paths first (RFC 6265 section 5.4). Empty when none fits. */
export function cookiesFor(jar: readonly JarCookie[], requestPath: string, now: number): string {
  const path = requestPath.split('?', 1)[0]!
  return jar
    .filter(
      (cookie) => (cookie.expiresAt === null || cookie.expiresAt > now) && pathMatches(path, cookie.path),
    )
    .toSorted((a, b) => b.path.length - a.path.length)
    .map((cookie) => `${cookie.name}=${cookie.value}`)
    .join('; ')
}

/** What a script of a page may read. */
export function scriptCookies(jar: readonly JarCookie[]): readonly JarCookie[] {
  return jar.filter((cookie) => !isHidden(cookie))
}

function isHidden(cookie: JarCookie | undefined): boolean {
  return cookie !== undefined && cookie.isHttpOnly !== false
}

function expiryOf(attributes: ReadonlyMap<string, string>, now: number): number | null {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined && /^-?\d{1,12}$/.test(maxAge)) return now + Number(maxAge) * 1_000
  const expires = attributes.get('expires')
  if (expires === undefined) return null
  const time = Date.parse(expires)
  return Number.isNaN(time) ? null : time
}

function defaultPath(requestPath: string): string {
  const path = requestPath.split('?', 1)[0]!
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? '/' : path.slice(0, slash)
}

function pathMatches(path: string, cookiePath: string): boolean {
  if (!path.startsWith(cookiePath)) return false
  return path.length === cookiePath.length || cookiePath.endsWith('/') || path[cookiePath.length] === '/'
}
