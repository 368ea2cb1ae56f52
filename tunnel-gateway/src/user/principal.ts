/** Who sends a request, and what they may do with a controller. */
import { appError } from '@wmoc/platform/errors'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import type { AccessTokens } from '#src/control-plane/access-tokens.ts'
import type { Directory } from '#src/control-plane/directory.ts'
import { mayRequest } from '#src/core/access-rules.ts'
import type { Capability } from '#src/page/capability/codec.ts'

export interface Principal {
  /** Of a guest: the link's id, which is nobody's. */
  readonly userId: string
  readonly sessionId: string
  /** A guest came by this shared link, without an account. */
  readonly linkId?: string
  /** It is a page in a frame: its id, which differs from opening to opening, … */
  readonly page?: string
  /** … and by what it was let in. */
  readonly capability?: Capability
}

/**
 * Whose it is what a device says to this person alone. Guests of one link are many people, who share nothing but the link:
 * each is the page that was opened by it.
 */
export function holderOf({ userId, linkId, page = '' }: Principal): string {
  return linkId === undefined ? userId : `${linkId}.${page}`
}

export interface Gatekeeper {
  /** From `Authorization: Bearer …`. Throws `unauthenticated` or `session_ended`. */
  fromBearer(header: string): Promise<Principal>
  /** Whether the sign-in session still lives. */
  isAlive(sessionId: string): Promise<boolean>
  /**
   * The controller's record, for somebody who may send this request. What is foreign and what does not exist look the
   * same: `not_found`. Throws `forbidden` where the role is too small.
   */
  admit(principal: Pick<Principal, 'userId'>, controllerId: string, method: string): Promise<ControllerRecord>
  /** `fromBearer` and `admit` in one where all that it takes is at hand and allows it; null: ask them. */
  admitAtHand(token: string, controllerId: string, method: string): Admitted | null
}

export interface Admitted {
  readonly principal: Principal
  readonly record: ControllerRecord
}

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i

export function createGatekeeper(tokens: AccessTokens, directory: Directory): Gatekeeper {
  return {
    async fromBearer(header) {
      const token = BEARER.exec(header)?.[1]
      const claims = token === undefined ? null : await tokens.verify(token)
      if (claims === null) throw appError('unauthenticated')
      if (!(await directory.isAlive(claims.sid))) throw appError('session_ended')
      return { userId: claims.sub, sessionId: claims.sid }
    },
    isAlive: (sessionId) => directory.isAlive(sessionId),
    async admit({ userId }, controllerId, method) {
      const role = await directory.role(userId, controllerId)
      if (role === null) throw appError('not_found')
      const record = await directory.record(controllerId)
      if (record === null || record.state === 'revoked') throw appError('not_found')
      if (!mayRequest(role, method)) throw appError('forbidden')
      return record
    },
    admitAtHand(token, controllerId, method) {
      // Only what has been verified is known, so that its form needs no second look.
      const claims = tokens.peek(token)
      if (claims === undefined || directory.atHand.isAlive(claims.sid) !== true) return null
      const role = directory.atHand.role(claims.sub, controllerId)
      const record = directory.atHand.record(controllerId)
      if (role === undefined || role === null || record === undefined || record === null) return null
      if (record.state === 'revoked' || !mayRequest(role, method)) return null
      return { principal: { userId: claims.sub, sessionId: claims.sid }, record }
    },
  }
}
