import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { GATEWAY_CHANNEL, GatewayNotice } from '@wmoc/protocol/control-plane'

/** A stream outlives its session by this at most, when the word of its end was lost. */
const CHECK_EVERY_MS = 3_000

/** A stream as the guard sees it. */
export interface Guarded {
  readonly userId: string
  readonly sessionId: string
  /** Controllers whose live values it carries: it ends when the person may see one of them no more. */
  readonly controllerIds: readonly string[]
  /** Where the person belongs now; called at every check. */
  allow(workspaceIds: readonly string[]): void
  /** The session has ended, or what was watched is not the person's to see any more. */
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
  /** The role of each person on each controller, null where it can't be seen. */
  readonly rolesOf: (
    pairs: readonly { readonly userId: string; readonly controllerId: string }[],
  ) => Promise<readonly unknown[]>
}

/**
 * Ends streams whose sign-in session has ended, and keeps what they may see up to date. Two queries for all streams of
 * the process, and a third for what they watch live, every few seconds and at once when a session is told to have ended.
 */
export function createGuard({ store, log, sessionsAlive, workspacesOf, rolesOf }: Deps): Guard {
  const streams = new Set<Guarded>()
  let stopWatching: (() => void) | null = null

  async function check(): Promise<void> {
    const checked = [...streams]
    const sessionIds = [...new Set(checked.map((stream) => stream.sessionId))]
    const alive = await sessionsAlive(sessionIds)
    const ended = new Set(sessionIds.filter((_, index) => alive[index] !== true))
    const workspaces = await workspacesOf([...new Set(checked.map((stream) => stream.userId))])
    const blind = await blindStreams(checked)
    for (const stream of checked) {
      if (ended.has(stream.sessionId) || blind.has(stream)) stream.end()
      else stream.allow(workspaces.get(stream.userId) ?? [])
    }
  }

  /** Streams that watch a controller which the person may not see. */
  async function blindStreams(checked: readonly Guarded[]): Promise<Set<Guarded>> {
    const watched = checked.flatMap((stream) =>
      stream.controllerIds.map((controllerId) => ({ stream, userId: stream.userId, controllerId })),
    )
    const roles = await rolesOf(watched)
    return new Set(watched.filter((_, index) => roles[index] === null).map(({ stream }) => stream))
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
