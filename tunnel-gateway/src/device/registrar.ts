/** Decides who a device is: by token, by stored secret, or by a person who confirms its code. */
import { AppError } from '@wmoc/platform/errors'
import { hmacSha256Hex, safeEqual } from '@wmoc/platform/ids'
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type {
  ActivationRefusal,
  ControllerRecord,
  ControlPlaneOutput,
  DeviceDescription,
} from '@wmoc/protocol/control-plane'
import type { Register } from '@wmoc/protocol/messages'
import type { ControlPlane } from '#src/control-plane/client.ts'
import type { Directory } from '#src/control-plane/directory.ts'

/** A code that a device shows, and what asks for its outcome. */
export type Claim = Extract<ControlPlaneOutput<'activations/open'>, { outcome: 'opened' }>

export type Verdict =
  | {
      readonly kind: 'known'
      readonly how: 'token' | 'credentials' | 'code'
      readonly record: ControllerRecord
      readonly secret: string | null
    }
  | { readonly kind: 'claim'; readonly claim: Claim }
  | Refusal

export interface Refusal {
  readonly kind: 'refused'
  readonly code: string
  readonly message: string
  readonly close: CloseReason
  readonly reconnectAfterMs?: number
  /** A wrong secret for a controller that exists: its owner is told. */
  readonly failedFor?: string
  /** What metrics call it, where that is not `code`. */
  readonly reason?: typeof UNDECIDED
}

/** The API was away: nobody can say whether the device may come in. */
export const UNDECIDED = 'dependency_unavailable'

export interface Registrar {
  identify(message: Register, device: DeviceDescription): Promise<Verdict>
  /** Asks whether the code was confirmed; null: not yet. `gone`: a new code is needed. */
  collect(claim: Claim): Promise<Verdict | 'gone' | null>
  /** A new code for a device that still waits. */
  reopen(device: DeviceDescription): Promise<Verdict>
}

const unauthorized: Refusal = {
  kind: 'refused',
  code: 'unauthorized',
  message: 'Not accepted',
  close: CLOSE.unauthorized,
}

export function tryLater(reconnectAfterMs: number): Refusal {
  const message = 'Try again later'
  return { kind: 'refused', code: 'try_again_later', message, close: CLOSE.tryLater, reconnectAfterMs }
}

export function createRegistrar(options: {
  controlPlane: ControlPlane
  directory: Directory
  credentialKey: string
  log: Logger
}): Registrar {
  const { controlPlane, directory, log } = options

  function issued(how: 'token' | 'code', answer: { controller: ControllerRecord; secret: string }): Verdict {
    directory.put(answer.controller)
    return { kind: 'known', how, record: answer.controller, secret: answer.secret }
  }

  async function bySecret(controllerId: string, secret: string): Promise<Verdict> {
    const verifier = hmacSha256Hex(options.credentialKey, secret)
    const slotOf = (record: ControllerRecord | null) =>
      record?.state === 'active' ? record.verifiers.findIndex((known) => safeEqual(known, verifier)) : -1
    let record = directory.knownRecord(controllerId)
    // A secret that is not known may be newer than what we remember.
    if (slotOf(record) < 0) record = await directory.record(controllerId)
    if (slotOf(record) < 0 && record?.state === 'active') record = await directory.refresh(controllerId)
    if (record === null) return unauthorized
    if (record.state === 'revoked') return { ...unauthorized, code: 'revoked', close: CLOSE.revoked }
    // It comes again, slowly, until it is let in; its owner is not told of a wrong secret.
    if (record.state === 'suspended') return unauthorized
    const slot = slotOf(record)
    if (slot < 0) return { ...unauthorized, failedFor: controllerId }
    return { kind: 'known', how: 'credentials', ...(await settleSlots(record, slot, verifier)) }
  }

  /** Moves a rotation on. None of it may keep a device out that has proved its secret. */
  async function settleSlots(record: ControllerRecord, slot: number, verifier: string) {
    const { controllerId } = record
    try {
      if (slot > 0) {
        const { controller } = await controlPlane.call('credentials/promote', { controllerId, verifier })
        directory.put(controller)
        return { record: controller, secret: null }
      }
      // With an open next slot the device never got, or never kept, its new secret.
      if (record.rotationPending || record.verifiers.length > 1) {
        const answer = await controlPlane.call('credentials/issue', { controllerId })
        if (answer.outcome === 'issued') {
          directory.put(answer.controller)
          return { record: answer.controller, secret: answer.secret }
        }
      }
    } catch (error) {
      log.warn('auth', 'cannot move a credential rotation on, will try at the next registration', {
        controllerId,
        error,
      })
    }
    return { record, secret: null }
  }

  async function open(device: DeviceDescription): Promise<Verdict> {
    const answer = await controlPlane.call('activations/open', { device })
    return answer.outcome === 'opened' ? { kind: 'claim', claim: answer } : refusalOf(answer.reason)
  }

  /** The API away is no verdict on the device. */
  async function guarded(work: Promise<Verdict>): Promise<Verdict> {
    try {
      return await work
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (error.code === 'malformed') return unauthorized
      return { ...tryLater(error.retryAfterMs ?? 5_000), reason: UNDECIDED }
    }
  }

  return {
    identify(message, device) {
      const { token, credentials } = message
      if (token !== undefined) {
        return guarded(
          controlPlane
            .call('activations/redeem', { token, device })
            .then((answer) =>
              answer.outcome === 'issued' ? issued('token', answer) : refusalOf(answer.reason),
            ),
        )
      }
      const { controller_id: controllerId, secret } = credentials ?? {}
      if (controllerId !== undefined && secret !== undefined) return guarded(bySecret(controllerId, secret))
      // Half a credential proves nothing, and is no wish to be claimed either.
      if (controllerId !== undefined || secret !== undefined) return Promise.resolve(unauthorized)
      return guarded(open(device))
    },
    async collect({ claimId, claimSecret }) {
      const answer = await controlPlane.call('activations/collect', { claimId, claimSecret })
      if (answer.outcome === 'waiting') return null
      return answer.outcome === 'gone' ? 'gone' : issued('code', answer)
    },
    reopen: (device) => guarded(open(device)),
  }
}

/** A device hears the same words for all but what it can do something about. */
function refusalOf(reason: ActivationRefusal): Refusal {
  if (reason === 'busy') return tryLater(5_000)
  if (reason === 'expired')
    return { ...unauthorized, code: 'token_expired', message: 'The token has expired' }
  return { ...unauthorized, code: 'activation_refused' }
}
