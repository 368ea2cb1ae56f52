/** `Authorization` of HTTP Basic (RFC 7617) and Digest (RFC 7616). */
import { createHash } from 'node:crypto'
import type { DigestAlgorithm, DigestChallenge } from './challenge.ts'

const HASHES: Readonly<Record<DigestAlgorithm, string>> = {
  MD5: 'md5',
  'SHA-256': 'sha256',
  'SHA-512-256': 'sha512-256',
}

/** Name and password as UTF-8. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}

export interface DigestRequest {
  readonly username: string
  readonly password: string
  readonly method: string
  /** The request target as the device gets it. */
  readonly uri: string
  /** How often the nonce was used, this time included. */
  readonly count: number
  readonly cnonce: string
}

/** The answer to a challenge, for one request. */
export function digestAuthorization(challenge: DigestChallenge, request: DigestRequest): string {
  const { nonce, opaque, algorithm, isSession, isNamed, qop, hidesUser, rawRealm } = challenge
  const { username, password, method, uri, count, cnonce } = request
  const hash = (text: string) => createHash(HASHES[algorithm]).update(text, 'utf8').digest('hex')
  const nc = count.toString(16).padStart(8, '0')
  const secret = hash(`${username}:${fromOctets(rawRealm)}:${password}`)
  const key = isSession ? hash(`${secret}:${nonce}:${cnonce}`) : secret
  const target = hash(`${method}:${uri}`)
  const response =
    qop === null
      ? hash(`${key}:${nonce}:${target}`)
      : hash(`${key}:${nonce}:${nc}:${cnonce}:${qop}:${target}`)
  const name = hidesUser ? `username="${hash(`${username}:${fromOctets(rawRealm)}`)}"` : nameOf(username)
  return [
    `Digest ${name}`,
    `realm="${rawRealm}"`,
    `uri="${uri}"`,
    ...(isNamed ? [`algorithm=${algorithm}${isSession ? '-sess' : ''}`] : []),
    `nonce="${nonce}"`,
    ...(qop === null ? [] : [`nc=${nc}`, `cnonce="${cnonce}"`, `qop=${qop}`]),
    ...(qop === null && isSession ? [`cnonce="${cnonce}"`] : []),
    `response="${response}"`,
    ...(opaque === null ? [] : [`opaque="${opaque}"`]),
    ...(hidesUser ? ['userhash=true'] : []),
  ].join(', ')
}

/** Beyond ASCII as RFC 8187 writes it. */
function nameOf(username: string): string {
  if (/^[\x20-\x7e]*$/.test(username)) return `username="${username.replaceAll(/["\\]/g, '\\$&')}"`
  const encoded = encodeURIComponent(username).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `username*=UTF-8''${encoded}`
}

/** One character per octet, as headers come: hashed are the octets. */
function fromOctets(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}
