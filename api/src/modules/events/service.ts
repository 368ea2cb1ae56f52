import { appError } from '@wmoc/platform/errors'
import type { Logger } from '@wmoc/platform/log'
import type { Sequelize } from 'sequelize'
import type { AccessChecker, Caller, SseFrame } from '#src/kernel/module.ts'
import type { EventCursor } from '#src/kernel/event-reader.ts'
import { StreamEvent } from './contract.ts'
import { createFrameQueue } from './frame-queue.ts'
import type { Guard } from './guard.ts'
import type { Hub, Told } from './hub.ts'
import { formatId, isBeyond, parseId, readBetween } from './place.ts'
import type { StreamData, createPresenter } from './present.ts'

/** Streams of one person in one process: a browser holds six connections to a host, a person has a few devices. */
export const MAX_STREAMS_PER_USER = 12
/** What may wait for a slow reader; then it is cut, and comes back with its last id. */
const MAX_WAITING = 1_000
/** Live values are dropped sooner: a gap in them is read again from the series. */
const MAX_WAITING_LIVE = 200
/** An access token lives 15 minutes; the minute more lets the client come back with a new one first. */
const MAX_AGE_MS = 16 * 60_000

export interface StreamRequest {
  readonly caller: Caller
  readonly lastEventId: string | undefined
  readonly logs: readonly string[]
  readonly metrics: readonly string[]
  readonly signal: AbortSignal
}

/** What waits: an event to be presented, or live values ready to go. */
type Waiting = Told | { readonly live: StreamData }

interface Deps {
  readonly db: Sequelize
  readonly log: Logger
  readonly clock: () => Date
  readonly access: Pick<AccessChecker, 'roleOnController'>
  readonly hub: Hub
  readonly guard: Guard
  readonly present: ReturnType<typeof createPresenter>
  /** Live values of one controller, as text of a `StreamEvent`. */
  readonly subscribeLive: (id: string, listener: (message: string) => void) => Promise<() => Promise<void>>
  readonly workspacesOf: (userIds: readonly string[]) => Promise<ReadonlyMap<string, readonly string[]>>
}

export interface EventsService {
  /**
   * The frames of one stream. `not_found` for a controller that is not the caller's to see, `rate_limited` for too many
   * streams. Ends with the signal, with the session, at the end of its time, or when the reader is too slow.
   */
  open(request: StreamRequest): Promise<AsyncIterable<SseFrame>>
}

/** Streams of everything that changes in the workspaces of the person who listens. */
export function createEventsService(deps: Deps): EventsService {
  const { db, log, clock, access, hub, guard, present } = deps
  const openStreams = new Map<string, number>()

  async function requireVisible(userId: string, controllerIds: readonly string[]): Promise<void> {
    for (const id of new Set(controllerIds)) {
      if ((await access.roleOnController(userId, id)) === null) throw appError('not_found')
    }
  }

  function count(userId: string, change: 1 | -1): void {
    const now = (openStreams.get(userId) ?? 0) + change
    if (now > MAX_STREAMS_PER_USER) throw appError('rate_limited', { retryAfterMs: 5_000 })
    if (now === 0) openStreams.delete(userId)
    else openStreams.set(userId, now)
  }

  async function frameOf({ event, cursor }: Told, userId: string): Promise<SseFrame | null> {
    const data = await present(event, userId)
    return data && { id: formatId(cursor, clock().getTime()), event: data.type, data }
  }

  return {
    async open({ caller, lastEventId, logs, metrics, signal }) {
      const { userId } = caller
      await requireVisible(userId, [...logs, ...metrics])
      let workspaces = new Set((await deps.workspacesOf([userId])).get(userId))
      const waiting = createFrameQueue<Waiting>(MAX_WAITING)
      const cleanups: (() => void)[] = []
      let isClosed = false
      const onClose = (cleanup: () => void): void => {
        if (isClosed) cleanup()
        else cleanups.push(cleanup)
      }
      const close = (): void => {
        isClosed = true
        waiting.end()
        for (const cleanup of cleanups.splice(0)) cleanup()
      }
      count(userId, 1)
      onClose(() => count(userId, -1))
      try {
        signal.addEventListener('abort', close)
        onClose(() => signal.removeEventListener('abort', close))
        const end = setTimeout(close, MAX_AGE_MS)
        onClose(() => clearTimeout(end))
        const joined = await hub.join((told) => {
          if (!workspaces.has(told.event.workspaceId) || waiting.push(told)) return
          log.info('events', 'a slow reader of the stream was cut')
          close()
        })
        onClose(joined.leave)
        onClose(
          guard.watch({
            ...caller,
            controllerIds: [...new Set([...logs, ...metrics])],
            allow: (ids) => {
              // Somebody who lost a workspace may have lost what they watch live: they come back and are asked anew.
              const lost = [...workspaces].some((id) => !ids.includes(id))
              workspaces = new Set(ids)
              if (lost) close()
            },
            end: close,
          }),
        )
        for (const id of new Set([...logs, ...metrics])) {
          const stop = await deps.subscribeLive(id, (message) => {
            const live = parseLive(message)
            if (!live || live.controllerId !== id || waiting.length > MAX_WAITING_LIVE) return
            if ((live.type === 'logs.received' ? logs : metrics).includes(id)) waiting.push({ live })
          })
          onClose(() => void stop().catch(() => {}))
        }
        if (signal.aborted) close()
        return frames({
          userId,
          start: joined.cursor,
          lastEventId,
          workspaceIds: [...workspaces],
          waiting,
          close,
        })
      } catch (error) {
        close()
        throw error
      }
    },
  }

  async function* frames(stream: {
    readonly userId: string
    readonly start: EventCursor
    readonly lastEventId: string | undefined
    readonly workspaceIds: readonly string[]
    readonly waiting: AsyncIterable<Waiting>
    readonly close: () => void
  }): AsyncGenerator<SseFrame> {
    const { userId, start, lastEventId } = stream
    try {
      yield* catchUp(start, lastEventId, stream.workspaceIds, userId)
      for await (const item of stream.waiting) {
        const frame =
          'live' in item ? { event: item.live.type, data: item.live } : await frameOf(item, userId)
        if (frame) yield frame
      }
    } finally {
      stream.close()
    }
  }

  /** From where the client was to where the stream began; then, or without a place, the place it is at. */
  async function* catchUp(
    start: EventCursor,
    lastEventId: string | undefined,
    workspaceIds: readonly string[],
    userId: string,
  ): AsyncGenerator<SseFrame> {
    const now = clock().getTime()
    const here = { id: formatId(start, now) }
    if (lastEventId === undefined) {
      yield here
      return
    }
    const place = parseId(lastEventId, now)
    if (!place || isBeyond(place, start)) {
      yield { ...here, event: 'stream.reset', data: { type: 'stream.reset' } }
      return
    }
    for await (const told of readBetween(db, place, start, workspaceIds)) {
      const frame = await frameOf(told, userId)
      if (frame) yield frame
    }
    yield here
  }
}

function parseLive(
  message: string,
): Extract<StreamData, { type: 'logs.received' | 'metrics.received' }> | null {
  try {
    const { data } = StreamEvent.safeParse(JSON.parse(message))
    return data?.type === 'logs.received' || data?.type === 'metrics.received' ? data : null
  } catch {
    return null
  }
}
