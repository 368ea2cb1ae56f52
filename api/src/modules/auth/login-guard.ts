/** Limits on sign-in attempts that neither a botnet nor one address gets around, and that lock no owner out. */
import { hmacSha256Hex, randomToken, safeEqual, sha256Hex } from '@wmoc/platform/ids'
import type { RateLimiter } from '#src/kernel/rate-limit.ts'

const MINUTE_MS = 60_000
const ACCOUNT = { burst: 10, count: 30, periodMs: 15 * MINUTE_MS }
const EVERYBODY = { burst: 300, count: 600, periodMs: MINUTE_MS }

export const DEVICE_COOKIE = '__Host-wmoc_device'
export const DEVICE_COOKIE_MS = 365 * 24 * 60 * MINUTE_MS

export interface LoginGuard {
  /**
   * Throws 429 when too many tries came for this e-mail. A browser that signed in as this person before shows its
   * device cookie and is counted apart, so strangers can't lock the person out (OWASP "device cookies").
   */
  admit(email: string, deviceCookie: string | undefined): Promise<void>
  /** The cookie for a browser that has just signed in. */
  deviceCookie(email: string): string
}

export function createLoginGuard(limiter: RateLimiter, key: string): LoginGuard {
  const sign = (email: string, nonce: string) => hmacSha256Hex(key, `device ${nonce} ${email}`)
  const nonceOf = (email: string, cookie: string | undefined): string | null => {
    const [nonce = '', signature = ''] = cookie?.split('.') ?? []
    return nonce !== '' && safeEqual(signature, sign(email, nonce)) ? nonce : null
  }
  return {
    async admit(email, deviceCookie) {
      const nonce = nonceOf(email, deviceCookie)
      await limiter.require(
        nonce === null ? `login-account:${sha256Hex(email)}` : `login-device:${nonce}`,
        ACCOUNT,
      )
      if (nonce === null) await limiter.require('login-everybody', EVERYBODY)
    },
    deviceCookie(email) {
      const nonce = randomToken(16)
      return `${nonce}.${sign(email, nonce)}`
    },
  }
}
