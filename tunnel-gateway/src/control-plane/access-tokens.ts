/** Verifies access tokens offline, by the API's published keys. */
import { appError } from '@wmoc/platform/errors'
import { AccessTokenClaims } from '@wmoc/protocol/control-plane'
import { createLocalJWKSet, errors, jwtVerify } from 'jose'
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { LRUCache } from 'lru-cache'
import type { ControlPlane } from './client.ts'

export interface AccessTokens {
  /** The claims; null for a token that is not valid now. Rejects only while no key set could be had. */
  verify(token: string): Promise<AccessTokenClaims | null>
  /** The same of a token that has been verified before; undefined: ask. */
  peek(token: string): AccessTokenClaims | undefined
}

const KEYS_FRESH_MS = 5 * 60_000
/** A kid that we don't know makes us ask again, but not more often than this. */
const KEYS_COOLDOWN_MS = 5_000
const MAX_TOKEN_CHARS = 4_096

export function createAccessTokens(controlPlane: ControlPlane): AccessTokens {
  const verified = new LRUCache<string, AccessTokenClaims>({ max: 20_000 })
  let keys: JWTVerifyGetKey | null = null
  let fetchedAt = -Infinity
  let fetching: Promise<void> | null = null

  function fetchKeys(): Promise<void> {
    fetching ??= controlPlane
      .jwks()
      .then((set) => {
        keys = createLocalJWKSet(set as JSONWebKeySet)
        fetchedAt = performance.now()
      })
      .finally(() => {
        fetching = null
      })
    return fetching
  }

  async function keySet(): Promise<JWTVerifyGetKey> {
    if (performance.now() - fetchedAt > KEYS_FRESH_MS) {
      await fetchKeys().catch((cause: unknown) => {
        if (keys === null) throw appError('dependency_unavailable', { retryAfterMs: 2_000, cause })
      })
    }
    return keys!
  }

  async function check(token: string, mayRefresh: boolean): Promise<AccessTokenClaims | null> {
    try {
      const { payload } = await jwtVerify(token, await keySet(), {
        algorithms: ['EdDSA'],
        issuer: 'wmoc',
        audience: 'wmoc',
        requiredClaims: ['exp', 'iat', 'sub'],
        clockTolerance: 5,
      })
      return AccessTokenClaims.safeParse(payload).data ?? null
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error
      const isUnknownKey = error instanceof errors.JWKSNoMatchingKey
      if (!isUnknownKey || !mayRefresh || performance.now() - fetchedAt < KEYS_COOLDOWN_MS) return null
      await fetchKeys().catch(() => undefined)
      return check(token, false)
    }
  }

  function peek(token: string): AccessTokenClaims | undefined {
    const known = verified.get(token)
    return known !== undefined && known.exp * 1_000 > Date.now() ? known : undefined
  }

  return {
    peek,
    async verify(token) {
      if (token.length > MAX_TOKEN_CHARS) return null
      const known = peek(token)
      if (known !== undefined) return known
      const claims = await check(token, true)
      if (claims !== null) verified.set(token, claims)
      return claims
    },
  }
}
