/** What the gateway knows of controllers, people and sessions: batched questions behind short caches. */
import { appError } from '@wmoc/platform/errors'
import type { ControllerRecord, Role } from '@wmoc/protocol/control-plane'
import { createBatcher } from './batcher.ts'
import { createCache } from './cache.ts'
import type { ControlPlane } from './client.ts'

/** An answer with a place for "there is none", so that caches can hold it. */
type Known<Value> = { readonly value: Value | null }

export interface Directory {
  record(controllerId: string): Promise<ControllerRecord | null>
  /** At hand, however old (≤ 1 h): good for a device that proves its secret against it while the API is away. */
  knownRecord(controllerId: string): ControllerRecord | null
  /** Asks again whatever is at hand. */
  refresh(controllerId: string): Promise<ControllerRecord | null>
  byLabel(label: string): Promise<ControllerRecord | null>
  put(record: ControllerRecord): void
  role(userId: string, controllerId: string): Promise<Role | null>
  isAlive(sessionId: string): Promise<boolean>
  /** Asks again of sign-in sessions whatever is at hand. */
  refreshSessions(sessionIds: Iterable<string>): Promise<void>
  /** Whether a shared link is still good. */
  isLinkAlive(linkId: string): Promise<boolean>
  /** What `isAlive`, `role` and `record` would say, as far as it is at hand and fresh; undefined: ask. */
  readonly atHand: {
    isAlive(sessionId: string): boolean | undefined
    role(userId: string, controllerId: string): Role | null | undefined
    record(controllerId: string): ControllerRecord | null | undefined
  }
  forgetController(controllerId: string): void
  forgetAccess(userId: string | null, controllerId: string | null): void
  endSessions(sessionIds: readonly string[]): void
  endLinks(linkIds: readonly string[]): void
  /** Records of many controllers at once, past the cache; unknown ids are left out. */
  lookup(ids: readonly string[]): Promise<ControllerRecord[]>
}

/** While the API is away, permissions given before go on for so long (F4). */
const STALE_MS = 60_000
const UNKNOWN_MS = 3_000
const MAX = 50_000

const full = () => appError('overloaded', { retryAfterMs: 1_000 })

/** @param freshMs How long an answer is believed where no word of a change came. */
export function createDirectory(controlPlane: ControlPlane, freshMs: number): Directory {
  const shape = { maxBatch: 500, maxCalls: 4, maxWaiting: 20_000, onFull: full }
  const lookups = createBatcher<{ id?: string; label?: string }, Known<ControllerRecord>>({
    ...shape,
    async run(questions) {
      const ids = questions.flatMap((question) => question.id ?? [])
      const labels = questions.flatMap((question) => question.label ?? [])
      const { controllers } = await controlPlane.call('controllers/lookup', { ids, labels })
      const byId = new Map(controllers.map((record) => [record.controllerId, record]))
      const byLabel = new Map(controllers.map((record) => [record.pageLabel, record]))
      return questions.map((question) => ({
        value: (question.id === undefined ? byLabel.get(question.label!) : byId.get(question.id)) ?? null,
      }))
    },
  })
  const checks = createBatcher<{ userId: string; controllerId: string }, Role | null>({
    ...shape,
    run: async (questions) => (await controlPlane.call('access/check', { checks: questions })).roles,
  })
  const sessions = createBatcher<string, boolean>({
    ...shape,
    run: async (sessionIds) => (await controlPlane.call('sessions/alive', { sessionIds })).alive,
  })

  const links = createBatcher<string, boolean>({
    ...shape,
    run: async (linkIds) => (await controlPlane.call('page-links/alive', { linkIds })).alive,
  })

  const times = { max: MAX, freshMs, staleMs: Math.max(STALE_MS, freshMs) }
  const unknownShorter = (known: Known<unknown>) => (known.value === null ? UNKNOWN_MS : freshMs)
  const records = createCache<Known<ControllerRecord>>({
    ...times,
    staleMs: Math.max(3_600_000, freshMs),
    freshMsOf: unknownShorter,
    ask: (id) => lookups.ask({ id }),
  })
  const labels = createCache<Known<string>>({
    ...times,
    freshMsOf: unknownShorter,
    async ask(label) {
      const found = await lookups.ask({ label })
      if (found.value !== null) put(found.value)
      return { value: found.value?.controllerId ?? null }
    },
  })
  const roles = createCache<Known<Role>>({
    ...times,
    freshMsOf: unknownShorter,
    async ask(key) {
      const [userId, controllerId] = key.split(' ') as [string, string]
      return { value: await checks.ask({ userId, controllerId }) }
    },
  })
  const alive = createCache<boolean>({ ...times, ask: (sessionId) => sessions.ask(sessionId) })
  const aliveLinks = createCache<boolean>({ ...times, ask: (linkId) => links.ask(linkId) })

  function put(record: ControllerRecord): void {
    records.put(record.controllerId, { value: record })
  }

  return {
    async record(controllerId) {
      return (await records.get(controllerId)).value
    },
    knownRecord: (controllerId) => records.peekStale(controllerId)?.value ?? null,
    async refresh(controllerId) {
      const found = await lookups.ask({ id: controllerId })
      records.put(controllerId, found)
      return found.value
    },
    async byLabel(label) {
      const { value: controllerId } = await labels.get(label)
      if (controllerId === null) return null
      const { value: record } = await records.get(controllerId)
      // The label was rotated since.
      return record?.pageLabel === label ? record : null
    },
    put,
    async role(userId, controllerId) {
      return (await roles.get(`${userId} ${controllerId}`)).value
    },
    isAlive: (sessionId) => alive.get(sessionId),
    async refreshSessions(sessionIds) {
      await Promise.all(
        Array.from(sessionIds, async (sessionId) => alive.put(sessionId, await sessions.ask(sessionId))),
      )
    },
    isLinkAlive: (linkId) => aliveLinks.get(linkId),
    atHand: {
      isAlive: (sessionId) => alive.peek(sessionId),
      role: (userId, controllerId) => roles.peek(`${userId} ${controllerId}`)?.value,
      record: (controllerId) => records.peek(controllerId)?.value,
    },
    forgetController(controllerId) {
      records.forget(controllerId)
    },
    forgetAccess(userId, controllerId) {
      roles.forgetWhere((key) => {
        const [user, controller] = key.split(' ')
        return (userId === null || user === userId) && (controllerId === null || controller === controllerId)
      })
    },
    endSessions(sessionIds) {
      for (const sessionId of sessionIds) alive.put(sessionId, false)
    },
    endLinks(linkIds) {
      for (const linkId of linkIds) aliveLinks.put(linkId, false)
    },
    async lookup(ids) {
      const { controllers } = await controlPlane.call('controllers/lookup', { ids: [...ids], labels: [] })
      return controllers
    },
  }
}
