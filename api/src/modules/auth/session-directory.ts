/** Which sessions are alive, kept in mind for seconds, and who wants to know when one ends. */
import { appError } from '@wmoc/platform/errors'
import { GATEWAY_CHANNEL, GatewayNotice } from '@wmoc/protocol/control-plane'
import type { Authenticator } from '#src/kernel/authenticator.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow } from '#src/kernel/rows.ts'
import { subscribeSoftly } from '#src/kernel/subscribe-softly.ts'
import { effectiveTier, TIER_LIMITS } from '#src/kernel/tiers.ts'
import type { Tier } from './contract.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Sessions } from './sessions.ts'

/** A revocation is told at once through the store; without it, this is the longest that it goes unnoticed. */
const REMEMBER_MS = 4_000
const MAX_REMEMBERED = 20_000
/** How often watched sessions are looked up, in case a message was lost. */
const WATCH_MS = 4_000

interface Remembered {
  readonly at: number
  readonly userId: string
  readonly requestsPerMinute: number
}

export interface SessionDirectory extends Authenticator {
  start(): Promise<void>
  stop(): Promise<void>
}

/** Makes the directory of one process. */
export function createSessionDirectory(
  { db, store, log, clock }: Pick<Kernel, 'db' | 'store' | 'log' | 'clock'>,
  { tokens, sessions }: { tokens: AccessTokens; sessions: Sessions },
): SessionDirectory {
  const remembered = new Map<string, Remembered>()
  const watchers = new Map<string, Set<() => void>>()
  let timer: NodeJS.Timeout | null = null
  let unsubscribe: () => Promise<void> = async () => {}

  function forget(ids: readonly string[]): void {
    for (const id of ids) {
      remembered.delete(id)
      const callbacks = watchers.get(id)
      watchers.delete(id)
      for (const callback of callbacks ?? []) callback()
    }
  }

  async function lookUp(sessionId: string, userId: string): Promise<Remembered> {
    const row = await firstRow<{ tier: Tier; expiresAt: Date | null }>(
      db,
      `SELECT u.subscription_tier AS tier, u.subscription_expires_at AS "expiresAt"
       FROM sessions s JOIN users u ON u.id = s.user_id
       WHERE s.id = $sessionId AND s.user_id = $userId AND s.revoked_at IS NULL AND s.expires_at > $now`,
      { sessionId, userId, now: clock() },
    )
    if (!row) throw appError('session_ended')
    const { requestsPerMinute } = TIER_LIMITS[effectiveTier(row.tier, row.expiresAt, clock())]
    const found = { at: performance.now(), userId, requestsPerMinute }
    remembered.set(sessionId, found)
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value ?? sessionId)
    return found
  }

  async function lookAfterWatched(): Promise<void> {
    const ids = [...watchers.keys()]
    if (ids.length === 0) return
    const alive = await sessions.alive(ids)
    forget(ids.filter((id) => !alive.has(id)))
  }

  return {
    async authenticate(token) {
      const { sid, sub } = await tokens.verify(token)
      const known = remembered.get(sid)
      const isFresh = known?.userId === sub && performance.now() - known.at < REMEMBER_MS
      const { requestsPerMinute } = isFresh ? known : await lookUp(sid, sub)
      return { userId: sub, sessionId: sid, requestsPerMinute }
    },
    watch(sessionId, onEnd) {
      const callbacks = watchers.get(sessionId) ?? new Set()
      watchers.set(sessionId, callbacks.add(onEnd))
      return () => {
        callbacks.delete(onEnd)
        if (callbacks.size === 0 && watchers.get(sessionId) === callbacks) watchers.delete(sessionId)
      }
    },
    async start() {
      timer = setInterval(() => {
        lookAfterWatched().catch((error: unknown) =>
          log.debug('auth', 'sessions could not be looked up', { error }),
        )
      }, WATCH_MS)
      unsubscribe = await subscribeSoftly(store, GATEWAY_CHANNEL, (message) => {
        const notice = GatewayNotice.safeParse(JSON.parse(message))
        if (notice.success && notice.data.type === 'session_ended') forget(notice.data.sessionIds)
      })
    },
    async stop() {
      clearInterval(timer ?? undefined)
      await unsubscribe()
    },
  }
}
