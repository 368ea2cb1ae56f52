/**
 * The device's own sign-in (HTTP Basic and Digest): its challenge becomes a form of ours, and what a person told goes
 * with their later requests to that device. A browser never sees the challenge: on one host it would give one device's
 * password to the next.
 */
import { randomBytes } from 'node:crypto'
import { appError } from '@wmoc/platform/errors'
import type { Logger } from '@wmoc/platform/log'
import { LRUCache } from 'lru-cache'
import { announcedBody } from '#src/user/body.ts'
import { redirect, sendError, sendProblem } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import type { Next, PageLayer } from '../layers.ts'
import { ChallengeAnswer } from './answer.ts'
import { basicAuthorization, digestAuthorization } from './authorization.ts'
import type { Challenge, DigestChallenge } from './challenge.ts'
import type { Forms } from './forms.ts'
import type { HeldSignIn, Owner, SignIns } from './sign-ins.ts'

export interface Vault extends PageLayer {
  /** The request with what this person told the device's sign-in, if anything; for a WebSocket, which has no layers. */
  authorise<Request extends ProxyRequest>(proxied: Request): Request | Promise<Request>
}

/** How often one request is sent to the device: without, with an old nonce, with the new one. */
const MAX_SENT = 3

interface Attempt {
  readonly held: HeldSignIn | null
  /** How the request was signed with what was held; null: it was not. */
  readonly signed: Signed | null
  readonly sent: number
  /** Nothing newer is told anywhere. */
  readonly isLatest: boolean
}

type Start = Omit<Attempt, 'signed'>

interface Signed {
  readonly authorization: string
  readonly scheme: Challenge['scheme']
  /** Of a Digest. */
  readonly nonce: string | null
  /** The device has not seen the nonce before, so that it can't be worn out. */
  readonly isFirstUse: boolean
}

interface Nonce {
  readonly challenge: DigestChallenge
  count: number
}

export function createVaultLayer(deps: {
  signIns: SignIns
  forms: Forms
  refused: () => void
  log: Logger
}): Vault {
  const { signIns, forms, log } = deps
  // By device and port, whoever was given them: many devices know one nonce at a time.
  const nonces = new LRUCache<string, Nonce>({ max: 20_000, ttl: 3_600_000 })

  function send(proxied: ProxyRequest, next: Next, start: Start): void | Promise<void> {
    const { held } = start
    const signed = held === null ? null : sign(proxied, held)
    const response = new ChallengeAnswer(proxied.response, {
      challenged: (challenge) => {
        answer(proxied, next, { ...start, signed }, challenge).catch((error: unknown) =>
          sendError(proxied.response, error),
        )
      },
      passed: (status) => {
        if (held !== null && signed !== null) passed(proxied, held, status)
      },
    })
    return next({ ...proxied, response, deviceAuthorization: signed?.authorization ?? null })
  }

  /** Null: the device has to say a nonce first, or what is held is for another port. */
  function sign(proxied: ProxyRequest, { credential }: HeldSignIn): Signed | null {
    const { username, password, scheme, port } = credential
    if (port !== proxied.port) return null
    const nonce = nonces.get(nonceKey(proxied))
    if (nonce === undefined) {
      if (scheme === 'digest') return null
      return { authorization: basicAuthorization(username, password), scheme, nonce: null, isFirstUse: true }
    }
    nonce.count += 1
    const { challenge, count } = nonce
    const method = proxied.request.method!
    const cnonce = randomBytes(16).toString('base64url')
    const request = { username, password, method, uri: proxied.path, count, cnonce }
    return {
      authorization: digestAuthorization(challenge, request),
      scheme: 'digest',
      nonce: challenge.nonce,
      isFirstUse: count === 1,
    }
  }

  function learn(proxied: ProxyRequest, challenge: Challenge): void {
    const key = nonceKey(proxied)
    if (challenge.scheme === 'basic') return void nonces.delete(key)
    const known = nonces.get(key)
    const count = known?.challenge.nonce === challenge.nonce ? known.count : 0
    nonces.set(key, { challenge, count })
  }

  /** The device asks for a name and a password, or for better ones. */
  async function answer(
    proxied: ProxyRequest,
    next: Next,
    attempt: Attempt,
    challenge: Challenge,
  ): Promise<void> {
    const { held, sent, isLatest } = attempt
    learn(proxied, challenge)
    const isRefusal = isRefused(proxied, attempt, challenge)
    if (!isRefusal && held !== null && fits(held, challenge, proxied) && sent < MAX_SENT)
      return again(proxied, next, { held, sent, isLatest })
    if (!attempt.isLatest) {
      const latest = await signIns.findAnew(ownerOf(proxied))
      if (latest !== null && latest.savedAt !== held?.savedAt && fits(latest, challenge, proxied))
        return again(proxied, next, { held: latest, sent, isLatest: true })
    }
    if (isRefusal) {
      if (held!.credential.realm === challenge.realm) await refused(proxied, held!)
      return forms.ask(proxied, challenge, held!.trial === null ? 'forgotten' : 'refused')
    }
    return forms.ask(proxied, challenge, 'asked')
  }

  /** A body is gone with the first try: whoever sent it is asked to send it again, now that the nonce is known. */
  function again(proxied: ProxyRequest, next: Next, start: Start): void | Promise<void> {
    if (hasBody(proxied)) return redirect(proxied.response, 307, forms.addressOf(proxied, proxied.path))
    return send(proxied, next, { ...start, sent: start.sent + 1 })
  }

  async function refused(proxied: ProxyRequest, held: HeldSignIn): Promise<void> {
    deps.refused()
    await signIns.refused(ownerOf(proxied), held).catch((error: unknown) => {
      log.warn('proxy', 'a sign-in that the device refused could not be forgotten yet', { error })
      throw appError('dependency_unavailable', { retryAfterMs: 2_000 })
    })
  }

  function passed(proxied: ProxyRequest, held: HeldSignIn, status: number): void {
    // Only what was refused before shows by being answered that the sign-in is good.
    if (held.trial === null || held.trial.path !== proxied.path || status === 401 || status >= 500) return
    signIns
      .proven(ownerOf(proxied), held)
      .catch((error: unknown) => log.warn('proxy', 'a sign-in could not be kept', { error }))
  }

  return {
    handle(proxied, next) {
      if (hasOwnAuthorization(proxied)) {
        const response = new ChallengeAnswer(proxied.response, {
          challenged: () => sendProblem(proxied.response, 'device_sign_in_required'),
          passed: () => undefined,
        })
        return next({ ...proxied, response })
      }
      const begin = (held: HeldSignIn | null) => send(proxied, next, { held, sent: 1, isLatest: false })
      // What can be sent twice finds out by itself whether the device asks at all.
      const held = signIns.find(ownerOf(proxied), hasBody(proxied))
      return held instanceof Promise ? held.then(begin) : begin(held)
    },
    authorise(proxied) {
      if (hasOwnAuthorization(proxied)) return proxied
      const begin = (held: HeldSignIn | null) => {
        const signed = held === null ? null : sign(proxied, held)
        return signed === null ? proxied : { ...proxied, deviceAuthorization: signed.authorization }
      }
      const held = signIns.find(ownerOf(proxied), true)
      return held instanceof Promise ? held.then(begin) : begin(held)
    },
  }
}

function hasBody({ request }: ProxyRequest): boolean {
  return announcedBody(request).hasBody
}

/**
 * Whether the device meant the name or the password, and not a nonce that it forgot: few devices say `stale`, and some
 * know one nonce only, whoever it was given to.
 */
function isRefused(proxied: ProxyRequest, { signed, sent }: Attempt, challenge: Challenge): boolean {
  if (signed === null || signed.scheme !== challenge.scheme) return false
  if (challenge.scheme === 'basic') return true
  if (challenge.isStale) return false
  return challenge.nonce === signed.nonce || (signed.isFirstUse && (sent > 1 || hasBody(proxied)))
}

/** A page's own script signs in by itself: what it sends is for the device. */
function hasOwnAuthorization({ request, surface }: ProxyRequest): boolean {
  return surface !== 'api' && request.headers.authorization !== undefined
}

/** A password that was given to a Digest is never sent as Basic, which would show it. */
function fits({ credential }: HeldSignIn, challenge: Challenge, { port }: ProxyRequest): boolean {
  return credential.port === port && (credential.scheme === 'basic' || challenge.scheme === 'digest')
}

export function ownerOf({ principal, record }: ProxyRequest): Owner {
  return { principal, controllerId: record.controllerId }
}

function nonceKey({ record, port }: ProxyRequest): string {
  return `${record.controllerId} ${port ?? ''}`
}
