/**
 * What people told a device's sign-in, for the one who told it and the one device: remembered by the API, or sealed in
 * the shared store for a sign-in session. At hand for a minute at most; notices end that sooner.
 */
import { hkdfSync } from 'node:crypto'
import type { Logger } from '@wmoc/platform/log'
import { createSecretBox } from '@wmoc/platform/secret-box'
import type { Store } from '@wmoc/platform/store'
import { GATEWAY_CHANNEL, PageCredential, pageCredentialKey } from '@wmoc/protocol/control-plane'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { createCache } from '#src/control-plane/cache.ts'
import type { ControlPlane } from '#src/control-plane/client.ts'
import { holderOf } from '#src/user/principal.ts'
import type { Principal } from '#src/user/principal.ts'

/** Whose, of which device. */
export interface Owner {
  readonly principal: Principal
  readonly controllerId: string
}

const Held = z.object({
  credential: PageCredential,
  /** Milliseconds since 1970. */
  savedAt: z.int(),
  /** What it has yet to show itself good for: the path that the device refused, and whether to remember it then. */
  trial: z.object({ path: z.string(), remember: z.boolean() }).nullable(),
})

export interface HeldSignIn extends z.infer<typeof Held> {
  /** By the API, for every session of this person. */
  readonly isRemembered: boolean
}

export interface SignIns {
  /** What there is, at hand or not; null: none. `mayWait` false: only what can be told at once, as far as this shard knows. */
  find(owner: Owner, mayWait: boolean): HeldSignIn | null | Promise<HeldSignIn | null>
  /** Past what is at hand: another shard may have been told a moment ago. Rejects where it can't be said. */
  findAnew(owner: Owner): Promise<HeldSignIn | null>
  /** To be tried by the next requests. Rejects where it can't be kept. */
  try(owner: Owner, credential: PageCredential, trial: NonNullable<HeldSignIn['trial']>): Promise<void>
  /** The device took it: it is kept as the person asked. */
  proven(owner: Owner, held: HeldSignIn): Promise<void>
  /** The device did not: it is forgotten, but for what was told since. */
  refused(owner: Owner, held: HeldSignIn): Promise<void>
  /** Forget what is at hand; null: of everybody, of every device. */
  changed(userId: string | null, controllerId: string | null): void
  /** The same, and what is kept for sessions: who is let in again later is asked again. */
  accessChanged(userId: string | null, controllerId: string | null): void
}

const FRESH_MS = 30_000
/** While the API is away, what is at hand serves for so long. */
const STALE_MS = 60_000
const SESSION_TTL_MS = 12 * 3_600_000
const KNOWN_TTL_MS = 24 * 3_600_000
const MAX = 50_000
/** Sessions of one person that hold a sign-in to one device at once; the oldest goes first. */
const MAX_SESSIONS = 4

const Sessions = z.record(z.string(), Held)
type Sessions = z.infer<typeof Sessions>

/** @param cookieKey What the key of the sealed ones is made of. */
export function createSignIns(deps: {
  store: Store
  controlPlane: ControlPlane
  cookieKey: string
  log: Logger
}): SignIns {
  const { store, controlPlane, log } = deps
  const box = createSecretBox([
    Buffer.from(hkdfSync('sha256', deps.cookieKey, '', 'wmoc sign-ins to device pages', 32)),
  ])
  const cache = createCache<{ value: HeldSignIn | null }>({
    max: MAX,
    freshMs: FRESH_MS,
    staleMs: STALE_MS,
    ask: async (key) => ({ value: await load(key) }),
  })
  // Of whom there was one lately: asked for before the device is, so that it is not asked twice.
  const known = new LRUCache<string, true>({ max: MAX, ttl: KNOWN_TTL_MS })

  /** What the device took already; no more than a word on the form hangs on it. */
  const proven = new LRUCache<string, true>({ max: MAX, ttl: SESSION_TTL_MS })

  async function load(key: string): Promise<HeldSignIn | null> {
    const { controllerId, holder, sessionId, userId } = partsOf(key)
    const own = (await readSessions(controllerId, holder))[sessionId]
    if (own !== undefined) {
      const trial = proven.has(provenName(key, own)) ? null : own.trial
      return { ...own, trial, isRemembered: false }
    }
    if (userId === null) return null
    const { remembered } = await controlPlane.call('page-credentials/get', { userId, controllerId })
    return remembered === null ? null : { ...remembered, trial: null, isRemembered: true }
  }

  async function readSessions(controllerId: string, holder: string): Promise<Sessions> {
    const text = await store.get(pageCredentialKey(controllerId, holder))
    if (text === null) return {}
    try {
      return Sessions.parse(JSON.parse(box.open(text, `${holder} ${controllerId}`)))
    } catch {
      log.warn('security', 'a sign-in of a session cannot be opened with the present key', { controllerId })
      return {}
    }
  }

  async function writeSessions(controllerId: string, holder: string, sessions: Sessions): Promise<void> {
    const key = pageCredentialKey(controllerId, holder)
    const newest = Object.entries(sessions)
      .toSorted(([, a], [, b]) => b.savedAt - a.savedAt)
      .slice(0, MAX_SESSIONS)
    if (newest.length === 0) return void (await store.delete(key))
    const text = JSON.stringify(Object.fromEntries(newest))
    await store.set(key, box.seal(text, `${holder} ${controllerId}`), { ttlMs: SESSION_TTL_MS })
  }

  /** Changes what this session holds. `change` gets what is there and answers what shall be; undefined: none. */
  async function changeSession(
    owner: Owner,
    change: (present: Sessions[string] | undefined) => Sessions[string] | undefined,
  ): Promise<void> {
    const { controllerId, holder, sessionId } = partsOf(keyOf(owner))
    const sessions = await readSessions(controllerId, holder)
    const next = change(sessions[sessionId])
    const { [sessionId]: _, ...others } = sessions
    await writeSessions(controllerId, holder, next === undefined ? others : { ...others, [sessionId]: next })
  }

  /** The other shards look anew; this one has done so. */
  async function tell({ principal, controllerId }: Owner): Promise<void> {
    cache.forget(keyOf({ principal, controllerId }))
    if (principal.linkId !== undefined) return
    const notice = { type: 'page_credentials_changed', userId: principal.userId, controllerId }
    await store.publish(GATEWAY_CHANNEL, JSON.stringify(notice)).catch(() => undefined)
  }

  function changed(userId: string | null, controllerId: string | null): void {
    cache.forgetWhere((key) => {
      const parts = partsOf(key)
      return (
        (userId === null || parts.userId === userId) &&
        (controllerId === null || parts.controllerId === controllerId)
      )
    })
  }

  return {
    find(owner, mayWait) {
      const key = keyOf(owner)
      const atHand = cache.peek(key)
      if (atHand !== undefined) return atHand.value
      if (!mayWait && !known.has(key)) return null
      // What can't be read now is not needed by every page; one that asks for it says so itself.
      return cache.get(key).then(
        ({ value }) => value,
        () => null,
      )
    },
    async findAnew(owner) {
      const key = keyOf(owner)
      cache.forget(key)
      const { value } = await cache.get(key)
      if (value !== null) known.set(key, true)
      return value
    },
    async try(owner, credential, trial) {
      await changeSession(owner, () => ({ credential, savedAt: Date.now(), trial }))
      known.set(keyOf(owner), true)
      await tell(owner)
    },
    async proven(owner, held) {
      const { principal, controllerId } = owner
      const name = provenName(keyOf(owner), held)
      if (held.trial === null || proven.has(name)) return
      proven.set(name, true)
      // What is of this session only lies where it is to lie: written again, it could outlive its being forgotten.
      if (!held.trial.remember || principal.linkId !== undefined) return
      const { credential, savedAt } = held
      try {
        const put = { userId: principal.userId, controllerId, credential }
        const { kept } = await controlPlane.call('page-credentials/put', put)
        if (!kept) return
      } catch (error) {
        proven.delete(name)
        throw error
      }
      await changeSession(owner, (present) => (present?.savedAt === savedAt ? undefined : present))
      await tell(owner)
    },
    async refused(owner, { isRemembered, savedAt }) {
      const { principal, controllerId } = owner
      if (isRemembered)
        await controlPlane.call('page-credentials/forget', {
          userId: principal.userId,
          controllerId,
          savedAt,
        })
      else await changeSession(owner, (present) => (present?.savedAt === savedAt ? undefined : present))
      await tell(owner)
    },
    changed,
    accessChanged(userId, controllerId) {
      changed(userId, controllerId)
      if (userId === null || controllerId === null) return
      // Where the store is away it can't be read either, and what is in it runs out.
      void store.delete(pageCredentialKey(controllerId, userId)).catch(() => undefined)
    },
  }
}

function provenName(key: string, { savedAt }: Pick<HeldSignIn, 'savedAt'>): string {
  return `${key} ${savedAt}`
}

function keyOf({ principal, controllerId }: Owner): string {
  return `${controllerId} ${holderOf(principal)} ${principal.sessionId}`
}

function partsOf(key: string) {
  const [controllerId, holder, sessionId] = key.split(' ') as [string, string, string]
  return { controllerId, holder, sessionId, userId: holder.includes('.') ? null : holder }
}
