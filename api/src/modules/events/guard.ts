import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { GATEWAY_CHANNEL, GatewayNotice } from '@wmoc/protocol/control-plane'

/** A stream outlives its session by this at most, when the word of its end was lost. */
const CHECK_EVERY_MS = 3_000

/** A stream as the guard sees it. */
export interface Guarded {
  readonly userId: string
  readonly sessionId: string
  /** Where the person belongs now; called at every check. */
  allow(workspaceIds: readonly string[]): void
  /** The session has ended. */
  end(): void
}

export interface Guard {
  /** Watches until the answer is called. */
  watch(stream: Guarded): () => void
}

interface Deps {
  readonly store: Store
  readonly log: Logger
  readonly sessionsAlive: (sessionIds: readonly string[]) => Promise<readonly boolean[]>
  /** Workspaces by user; who has none is left out. */
  readonly workspacesOf: (userIds: readonly string[]) => Promise<ReadonlyMap<string, readonly string[]>>
}

/**
 * Ends streams whose sign-in session has ended, and keeps what they may see up to date. Two queries for all streams of
 * the process, every few seconds and at once when a session is told to have ended.
 */
export function createGuard({ store, log, sessionsAlive, workspacesOf }: Deps): Guard {
  const streams = new Set<Guarded>()
  let stopWatching: (() => void) | null = null

  async function check(): Promise<void> {
    const checked = [...streams]
    const sessionIds = [...new Set(checked.map((stream) => stream.sessionId))]
    const alive = await sessionsAlive(sessionIds)
    const ended = new Set(sessionIds.filter((_, index) => alive[index] !== true))
    const workspaces = await workspacesOf([...new Set(checked.map((stream) => stream.userId))])
    for (const stream of checked) {
      if (ended.has(stream.sessionId)) stream.end()
      else stream.allow(workspaces.get(stream.userId) ?? [])
    }
  }

  function checkSoon(): void {
    check().catch((error: unknown) => log.warn('events', 'streams could not be checked', { error }))
  }

  function onNotice(text: string): void {
    const notice = GatewayNotice.safeParse(parse(text))
    if (notice.data?.type === 'session_ended' || notice.data?.type === 'access_changed') checkSoon()
  }

  function startWatching(): () => void {
    const timer = setInterval(checkSoon, CHECK_EVERY_MS)
    timer.unref()
    const subscription = store.subscribe(GATEWAY_CHANNEL, onNotice)
    subscription.catch((error: unknown) =>
      log.debug('store', 'no word of ended sessions, polling', { error }),
    )
    return () => {
      clearInterval(timer)
      subscription.then((end) => end()).catch(() => {})
    }
  }

  return {
    watch(stream) {
      streams.add(stream)
      stopWatching ??= startWatching()
      return () => {
        streams.delete(stream)
        if (streams.size > 0) return
        stopWatching?.()
        stopWatching = null
      }
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
