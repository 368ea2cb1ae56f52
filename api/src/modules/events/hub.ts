import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import type { Sequelize } from 'sequelize'
import { EVENTS_CHANNEL, latestCursor, readEvents } from '#src/kernel/event-reader.ts'
import type { EventCursor, StoredEvent } from '#src/kernel/event-reader.ts'

/** Safety net under the wake-up through the store. */
const POLL_MS = 2_000
const BATCH = 500

/** One domain event, and the place behind it. */
export interface Told {
  readonly event: StoredEvent
  readonly cursor: EventCursor
}

export interface Hub {
  /**
   * Everything after the answered place is told to the listener, each event once and in one order; everything of
   * transactions below its `toXid` was before it. Rejects when the database is away.
   */
  join(listener: (told: Told) => void): Promise<{ cursor: EventCursor; leave: () => void }>
}

/**
 * One reader of domain events per process, whatever the number of streams. It reads while somebody listens, woken by
 * the store and by a poll.
 */
export function createHub({ db, store, log }: { db: Sequelize; store: Store; log: Logger }): Hub {
  const listeners = new Set<(told: Told) => void>()
  let cursor: EventCursor | null = null
  let queue: Promise<unknown> = Promise.resolve()
  let isWoken = false
  let stopWaking: (() => void) | null = null

  /** One task at a time: a listener joins between two readings, never in the middle of one. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = queue.then(task)
    queue = result.catch(() => {})
    return result
  }

  async function readOn(): Promise<EventCursor> {
    // In a transaction: a replica could be behind what was told already.
    cursor ??= await db.transaction((transaction) => latestCursor(db, transaction))
    for (;;) {
      const from: EventCursor = cursor
      const found = await db.transaction((transaction) => readEvents(db, from, BATCH, {}, transaction))
      cursor = found.cursor
      for (const told of found.events) for (const listener of listeners) listener(told)
      if (found.events.length === 0) return cursor
    }
  }

  function wake(): void {
    if (isWoken || listeners.size === 0) return
    isWoken = true
    inTurn(() => {
      isWoken = false
      return readOn()
    }).catch((error: unknown) => log.warn('events', 'the stream of events is held up', { error }))
  }

  function startWaking(): () => void {
    const timer = setInterval(wake, POLL_MS)
    timer.unref()
    const subscription = store.subscribe(EVENTS_CHANNEL, wake)
    subscription.catch((error: unknown) => log.debug('store', 'no wake-ups, polling', { error }))
    return () => {
      clearInterval(timer)
      subscription.then((end) => end()).catch(() => {})
    }
  }

  function leave(listener: (told: Told) => void): void {
    listeners.delete(listener)
    if (listeners.size > 0) return
    stopWaking?.()
    stopWaking = null
  }

  return {
    join: (listener) =>
      inTurn(async () => {
        // After a time without listeners: what happened meanwhile is nobody's.
        if (listeners.size === 0) cursor = null
        const place = await readOn()
        listeners.add(listener)
        stopWaking ??= startWaking()
        return { cursor: place, leave: () => leave(listener) }
      }),
  }
}
