/** Reads `WWW-Authenticate` (RFC 9110 section 11.6.1): what a device asks a person for. Pure. */

export const DIGEST_ALGORITHMS = ['MD5', 'SHA-256', 'SHA-512-256'] as const
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number]

export interface BasicChallenge {
  readonly scheme: 'basic'
  /** For people: no control characters, at most 200 characters. */
  readonly realm: string
}

/** RFC 7616. Texts are as they stood between the quotes, since that is what both ends hash and repeat. */
export interface DigestChallenge {
  readonly scheme: 'digest'
  readonly realm: string
  readonly rawRealm: string
  readonly nonce: string
  readonly opaque: string | null
  readonly algorithm: DigestAlgorithm
  /** `-sess`: the key is made with the first nonce of a session. */
  readonly isSession: boolean
  /** The device named an algorithm, so the answer names it too. */
  readonly isNamed: boolean
  /** Null: the device knows none (RFC 2069). */
  readonly qop: 'auth' | null
  readonly hidesUser: boolean
  /** The name and password were right, the nonce too old. */
  readonly isStale: boolean
}

export type Challenge = BasicChallenge | DigestChallenge

const MAX_REALM = 200
const MAX_NONCE = 512
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/y
const SPACE = /[\s,]*/y

interface Offer {
  readonly scheme: string
  readonly params: Map<string, string>
}

/** The strongest that a gateway can answer, among all that were offered; null: none. */
export function chooseChallenge(values: readonly string[]): Challenge | null {
  let best: Challenge | null = null
  for (const offer of values.flatMap(parseOffers)) {
    const challenge = readOffer(offer)
    if (challenge !== null && strengthOf(challenge) > strengthOf(best)) best = challenge
  }
  return best
}

function strengthOf(challenge: Challenge | null): number {
  if (challenge === null) return 0
  return challenge.scheme === 'basic' ? 1 : 2 + DIGEST_ALGORITHMS.indexOf(challenge.algorithm)
}

/** Stops at the first thing that is no challenge: what came before it counts. */
function parseOffers(value: string): Offer[] {
  const offers: Offer[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(value)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  while (at < value.length) {
    take(SPACE)
    const name = take(TOKEN)?.[0]
    if (name === undefined) break
    const equals = /^\s*=\s*/.exec(value.slice(at))
    if (equals === null) {
      offers.push({ scheme: name.toLowerCase(), params: new Map() })
      const start = at
      // What stands for itself after a scheme (`Negotiate abc=`) is of no scheme that is answered here.
      if (/^ +/.test(value.slice(at))) {
        at += /^ +/.exec(value.slice(at))![0].length
        if (take(TOKEN68) === null || value[at] === '=') at = start
      }
      continue
    }
    at += equals[0].length
    const text = take(QUOTED)?.[1] ?? take(TOKEN)?.[0]
    const params = offers.at(-1)?.params
    if (text === undefined || params === undefined) break
    if (!params.has(name.toLowerCase())) params.set(name.toLowerCase(), text)
  }
  return offers
}

function readOffer({ scheme, params }: Offer): Challenge | null {
  const rawRealm = params.get('realm') ?? ''
  const realm = forPeople(rawRealm)
  if (scheme === 'basic') return { scheme, realm }
  const nonce = params.get('nonce')
  if (scheme !== 'digest' || nonce === undefined || nonce.length > MAX_NONCE) return null
  const named = params.get('algorithm')
  const [, name, session] = /^(.*?)(-sess)?$/i.exec((named ?? 'MD5').toUpperCase())!
  const algorithm = DIGEST_ALGORITHMS.find((one) => one === name)
  const qops = params.get('qop')?.split(/[\s,]+/)
  const offersAuth = qops?.some((one) => one.toLowerCase() === 'auth') ?? false
  if (algorithm === undefined || (qops !== undefined && !offersAuth)) return null
  return {
    scheme,
    realm,
    rawRealm,
    nonce,
    opaque: params.get('opaque') ?? null,
    algorithm,
    isSession: session !== undefined,
    isNamed: named !== undefined,
    qop: offersAuth ? 'auth' : null,
    hidesUser: params.get('userhash')?.toLowerCase() === 'true',
    isStale: params.get('stale')?.toLowerCase() === 'true',
  }
}

/** Header values come one character per octet; devices write UTF-8. */
function forPeople(raw: string): string {
  const unquoted = raw.replaceAll(/\\(.)/g, '$1')
  const octets = Uint8Array.from(unquoted, (char) => char.charCodeAt(0))
  const text = new TextDecoder().decode(octets)
  return text.replaceAll(/[\p{C}\u2028\u2029]/gu, '').slice(0, MAX_REALM)
}
