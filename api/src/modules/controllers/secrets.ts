/** Secrets of devices and of their claims: what is told once, and what is stored instead. */
import { hmacSha256Hex, randomToken, sha256Hex } from '@wmoc/platform/ids'

export interface DeviceSecrets {
  /** A fresh 256-bit secret and the verifier to store in its place. */
  issue(): { secret: string; verifier: string }
  /**
   * The secret of a rotation: the same for the same nonce, so that a device that lost power before it had stored it is
   * given it again, and no second secret ever replaces one that it may have stored already.
   */
  rotated(controllerId: string, nonce: string): { secret: string; verifier: string }
  codeHash(code: string): string
  tokenHash(token: string): string
}

/** Secrets under `DEVICE_CREDENTIAL_KEY`; a dump of the database alone opens nothing. */
export function createDeviceSecrets(key: string): DeviceSecrets {
  const withVerifier = (secret: string) => ({ secret, verifier: hmacSha256Hex(key, secret) })
  return {
    issue: () => withVerifier(randomToken(32)),
    rotated: (controllerId, nonce) => withVerifier(hmacSha256Hex(key, `rotate:${controllerId}:${nonce}`)),
    codeHash: (code) => hmacSha256Hex(key, `code:${code}`),
    tokenHash: (token) => sha256Hex(token),
  }
}
