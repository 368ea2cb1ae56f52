/** The cookie of a device's own origin: who opened which page, in a form that only the gateway can make. */

export interface PageSession {
  readonly userId: string
  readonly sessionId: string
  readonly controllerId: string
  readonly label: string
  readonly accessEpoch: number
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export const PAGE_COOKIE = '__Host-wmoc_page'
export const PAGE_COOKIE_TTL_MS = 15 * 60_000
/** A cookie older than this is made anew, so that a page in use stays open. */
export const PAGE_COOKIE_RENEW_MS = 5 * 60_000

/** `sign` is a keyed hash of text as base64url or hex. */
export function writePageCookie(session: PageSession, sign: (text: string) => string): string {
  const text = [
    'v1',
    session.userId,
    session.sessionId,
    session.controllerId,
    session.label,
    session.accessEpoch,
    session.expiresAt,
  ].join('.')
  return `${text}.${sign(text)}`
}

/** Null for anything that we did not make. Expiry is the caller's to judge. */
export function readPageCookie(
  value: string,
  sign: (text: string) => string,
  isEqual: (a: string, b: string) => boolean,
): PageSession | null {
  if (value.length > 512) return null
  const dot = value.lastIndexOf('.')
  const text = value.slice(0, Math.max(0, dot))
  if (!isEqual(value.slice(dot + 1), sign(text))) return null
  const [version, userId, sessionId, controllerId, label, accessEpoch, expiresAt] = text.split('.')
  if (version !== 'v1' || expiresAt === undefined) return null
  return {
    userId: userId!,
    sessionId: sessionId!,
    controllerId: controllerId!,
    label: label!,
    accessEpoch: Number(accessEpoch),
    expiresAt: Number(expiresAt),
  }
}

/** The `Set-Cookie` value. */
export function pageCookieHeader(value: string): string {
  return `${PAGE_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${PAGE_COOKIE_TTL_MS / 1_000}`
}
