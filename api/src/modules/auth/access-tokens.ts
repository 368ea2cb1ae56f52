/** Access tokens: JWS (RFC 7515), EdDSA only, 15 minutes, the key by `kid` from our own set and never from the token. */
import { appError } from '@wmoc/platform/errors'
import { AccessTokenClaims } from '@wmoc/protocol/control-plane'
import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import type { SigningKeys } from './signing-keys.ts'

export const ACCESS_TTL_S = 15 * 60
/** Clocks of our own processes may differ by this. */
const TOLERANCE_S = 5

export interface AccessTokens {
  issue(subject: { userId: string; sessionId: string }): Promise<string>
  /** Throws 401 `unauthenticated` for anything but a good token of ours. */
  verify(token: string): Promise<AccessTokenClaims>
}

/** Makes and checks access tokens with the keys of the set. */
export function createAccessTokens(keys: SigningKeys, clock: () => Date): AccessTokens {
  async function check(token: string): Promise<AccessTokenClaims> {
    const { kid } = decodeProtectedHeader(token)
    const key = typeof kid === 'string' ? await keys.find(kid) : null
    if (key === null) throw appError('unauthenticated')
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['EdDSA'],
      issuer: 'wmoc',
      audience: 'wmoc',
      clockTolerance: TOLERANCE_S,
      currentDate: clock(),
      requiredClaims: ['exp', 'iat', 'sub', 'sid', 'typ'],
      maxTokenAge: ACCESS_TTL_S,
    })
    return AccessTokenClaims.parse(payload)
  }

  return {
    async issue({ userId, sessionId }) {
      const { kid, key } = await keys.current()
      const now = Math.floor(clock().getTime() / 1_000)
      return new SignJWT({ sid: sessionId, typ: 'access' })
        .setProtectedHeader({ alg: 'EdDSA', kid })
        .setIssuer('wmoc')
        .setAudience('wmoc')
        .setSubject(userId)
        .setIssuedAt(now)
        .setExpirationTime(now + ACCESS_TTL_S)
        .sign(key)
    },
    async verify(token) {
      try {
        return await check(token)
      } catch (cause) {
        const isOurs = cause instanceof errors.JOSEError || cause instanceof TypeError || isZodError(cause)
        throw isOurs ? appError('unauthenticated', { cause }) : cause
      }
    },
  }
}

function isZodError(error: unknown): boolean {
  return (
    (error instanceof Error && error.name === '$ZodError') ||
    (error instanceof Error && error.name === 'ZodError')
  )
}
