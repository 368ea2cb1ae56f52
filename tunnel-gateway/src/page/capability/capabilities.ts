/** Pages in frames: what opens them, how long, and what ends them. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { appError } from '@wmoc/platform/errors'
import { randomToken } from '@wmoc/platform/ids'
import type { ControllerRecord, PageLink, PageScope } from '@wmoc/protocol/control-plane'
import { LRUCache } from 'lru-cache'
import type { Directory } from '#src/control-plane/directory.ts'
import { isReading } from '#src/core/access-rules.ts'
import type { Admitted, Gatekeeper, Principal } from '#src/user/principal.ts'
import { RANDOM_BYTES, readCapability, writeCapability } from './codec.ts'
import type { Capability } from './codec.ts'
import type { PageState, PageStates } from './page-states.ts'

export interface OpenPage {
  readonly capability: Capability
  /** For the address. */
  readonly text: string
  readonly scope: PageScope
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface Capabilities {
  open(principal: Principal, record: ControllerRecord, scope: PageScope): OpenPage
  openForGuest(link: PageLink): OpenPage
  /** Null for what was not made here for this controller; says nothing of whether it is still good. */
  read(controllerId: string, text: string): Capability | null
  /**
   * Whom the capability speaks for, while it and all that it rests on is good and `method` is within its scope and role.
   * Throws `session_ended`, `not_found` or `forbidden`.
   */
  admit(capability: Capability, method: string): Promise<Admitted>
  /** Whether it is neither too old nor revoked. */
  isLive(capability: Capability): Promise<boolean>
  /** Answers until when it is good now, in milliseconds since 1970. */
  renew(capability: Capability): Promise<number>
  /** It ends here and now; elsewhere as soon as the shards are told or look. */
  revoke(capability: Capability): Promise<void>
}

export interface CapabilitiesOptions {
  readonly key: string
  readonly states: PageStates
  readonly gatekeeper: Gatekeeper
  readonly directory: Directory
  /** Of a page that nobody renews. */
  readonly ttlMs: number
  /** However often it is renewed. */
  readonly maxAgeMs: number
}

export function createCapabilities(options: CapabilitiesOptions): Capabilities {
  const { key, states, gatekeeper, directory, ttlMs, maxAgeMs } = options
  const sign = (bytes: Uint8Array) => createHmac('sha256', key).update(bytes).digest().subarray(0, 16)
  const readBefore = new LRUCache<string, Capability>({ max: 10_000 })

  const endOf = ({ issuedAt }: Capability, { renewedUntil }: Pick<PageState, 'renewedUntil'>) =>
    Math.min(issuedAt + maxAgeMs, Math.max(issuedAt + ttlMs, renewedUntil))

  function make(holder: Omit<Capability, 'id' | 'issuedAt'>): OpenPage {
    const capability = { ...holder, id: randomToken(RANDOM_BYTES), issuedAt: Date.now() }
    const expiresAt = endOf(capability, { renewedUntil: 0 })
    return { capability, text: writeCapability(capability, sign), scope: capability.scope, expiresAt }
  }

  async function isLive(capability: Capability): Promise<boolean> {
    const isGood = (state: PageState) => !state.isRevoked && endOf(capability, state) > Date.now()
    const state = await states.of(capability.id)
    if (isGood(state) || state.isRevoked) return isGood(state)
    // It may have been renewed on another shard just now.
    return isGood(await states.of(capability.id, true))
  }

  async function admitGuest(capability: Capability, linkId: string): Promise<ControllerRecord> {
    if (!(await directory.isLinkAlive(linkId))) throw appError('session_ended', { detail: LINK_ENDED })
    const record = await directory.record(capability.controllerId)
    if (record === null || record.state === 'revoked') throw appError('not_found')
    return record
  }

  async function admitPerson(capability: Capability, method: string): Promise<ControllerRecord> {
    if (!(await gatekeeper.isAlive(capability.sessionId))) throw appError('session_ended')
    return gatekeeper.admit(capability, capability.controllerId, method)
  }

  return {
    open({ userId, sessionId }, { controllerId, accessEpoch }, scope) {
      return make({ controllerId, userId, sessionId, linkId: null, scope, accessEpoch })
    },
    openForGuest({ id, controllerId, scope, accessEpoch, expiresAt }) {
      const opened = make({ controllerId, userId: id, sessionId: id, linkId: id, scope, accessEpoch })
      return { ...opened, expiresAt: Math.min(opened.expiresAt, expiresAt) }
    },
    read(controllerId, text) {
      const address = `${controllerId}~${text}`
      const known = readBefore.get(address)
      if (known !== undefined) return known
      const capability = readCapability(controllerId, text, sign, timingSafeEqual)
      if (capability !== null) readBefore.set(address, capability)
      return capability
    },
    async admit(capability, method) {
      if (!(await isLive(capability))) throw appError('session_ended', { detail: PAGE_ENDED })
      const { linkId, userId, sessionId, scope } = capability
      const record = await (linkId === null
        ? admitPerson(capability, method)
        : admitGuest(capability, linkId))
      if (record.accessEpoch !== capability.accessEpoch)
        throw appError('session_ended', { detail: PAGE_ENDED })
      if (scope === 'view' && !isReading(method)) throw appError('forbidden', { detail: ONLY_VIEW })
      const principal = {
        userId,
        sessionId,
        page: capability.id,
        capability,
        ...(linkId === null ? {} : { linkId }),
      }
      return { principal, record }
    },
    isLive,
    async renew(capability) {
      const renewedUntil = Math.min(capability.issuedAt + maxAgeMs, Date.now() + ttlMs)
      await states.renew(capability.id, renewedUntil)
      return endOf(capability, { renewedUntil })
    },
    revoke: (capability) => states.revoke(capability.id),
  }
}

const PAGE_ENDED = 'This page has ended; open it again'
const LINK_ENDED = 'The link has expired or was withdrawn'
const ONLY_VIEW = 'This page may be looked at and not used'
