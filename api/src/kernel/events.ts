/** The event bus: an outbox written in the business transaction, delivered by the worker at least once, in order. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import { readOnScrape } from '@wmoc/platform/scrape'
import type { Store } from '@wmoc/platform/store'
import type { Sequelize, Transaction } from 'sequelize'
import type { DomainEvent, DomainEventType } from './domain-events.ts'
import { EVENTS_CHANNEL, readEvents } from './event-reader.ts'
import type { EventCursor, StoredEvent } from './event-reader.ts'
import type { EventBus } from './module.ts'
import { firstRow, rows } from './rows.ts'
import { subscribeSoftly } from './subscribe-softly.ts'

/** Safety net under the wake-up through the store. */
const POLL_MS = 1_000
const BATCH = 100
const IDLE_MOVE_MS = 60_000
/** A cursor that nobody has moved for this long belongs to a subscriber that is gone. */
const ABANDONED_MS = 7 * 24 * 60 * 60 * 1_000
/** Then the event is parked and the ones behind it go on: 1 + 2 + 4 + 8 s are waited before. */
const MAX_ATTEMPTS = 5
const RETRY_BASE_MS = 1_000
const WAITING_EVERY_MS = 10_000

type EventHandler = (event: never, transaction: Transaction) => Promise<void>

interface Subscription {
  readonly subscriber: string
  readonly types: readonly DomainEventType[]
  readonly handler: EventHandler
}

export interface EventBusWithDispatcher extends EventBus {
  /** Starts delivery in this process; several workers share the work subscriber by subscriber. */
  startDispatcher(): Promise<void>
  stopDispatcher(): Promise<void>
  /** Removes events that are older than `before` and that every subscriber has had; answers how many. */
  purge(before: Date): Promise<number>
}

interface Deps {
  readonly db: Sequelize
  readonly store: Store
  readonly log: Logger
  readonly clock: () => Date
  readonly metrics: Metrics
}

/** Makes the bus. Handlers run inside the transaction that also moves the subscriber's cursor. */
export function createEventBus({ db, store, log, clock, metrics }: Deps): EventBusWithDispatcher {
  const subscriptions: Subscription[] = []
  const told = new WeakSet<Transaction>()
  const handled = metrics.counter('wmoc_api_events_handled_total', 'Domain events delivered', ['subscriber'])
  const parked = metrics.counter(
    'wmoc_api_events_parked_total',
    'Domain events given up after repeated failures',
    ['subscriber'],
  )
  readOnScrape(
    metrics.gauge(
      'wmoc_api_events_oldest_waiting_seconds',
      'How long the domain event has waited that is next for a subscriber; 0 where none waits.',
      ['subscriber'],
    ),
    async () => (stopping === null ? [] : await Promise.all(subscriptions.map(waiting))),
    { everyMs: WAITING_EVERY_MS },
  )
  let stopping: AbortController | null = null
  let loops: Promise<void>[] = []
  let unsubscribe: (() => Promise<void>) | null = null
  const waiters = new Set<() => void>()
  const wake = (): void => {
    for (const resolve of waiters) resolve()
    waiters.clear()
  }

  function tell(transaction: Transaction): void {
    if (told.has(transaction)) return
    told.add(transaction)
    transaction.afterCommit(() => {
      wake()
      store
        .publish(EVENTS_CHANNEL, '')
        .catch((error: unknown) => log.debug('store', 'no wake-up told', { error }))
    })
  }

  /** Delivers what is due; answers whether there may be more at once. */
  async function step(subscription: Subscription, limit: number): Promise<boolean> {
    if (!(await isWorthALock(subscription))) return false
    let failed: { event: StoredEvent; error: unknown } | null = null
    try {
      return await db.transaction(async (transaction) => {
        const state = await lockCursor(subscription.subscriber, transaction)
        if (!state) return false
        const found = await readEvents(db, state, limit, { types: subscription.types }, transaction)
        for (const { event } of found.events) {
          try {
            await subscription.handler(event as never, transaction)
          } catch (error) {
            failed = { event, error }
            throw error
          }
        }
        await moveCursor(subscription.subscriber, found.cursor, transaction)
        handled.inc({ subscriber: subscription.subscriber }, found.events.length)
        return found.events.length === limit
      })
    } catch (error) {
      if (failed === null) throw error
      // One that fails must not undo its neighbours: deliver one by one up to it.
      if (limit > 1) return await step(subscription, 1)
      await noteFailure(subscription, failed)
      return false
    }
  }

  async function waiting({ subscriber, types }: Subscription) {
    const state = await readCursor(subscriber)
    const [first] = state ? (await readEvents(db, state, 1, { types })).events : []
    const waitedMs = first ? clock().getTime() - first.event.recordedAt.getTime() : 0
    return { labels: { subscriber }, value: Math.max(0, waitedMs / 1_000) }
  }

  async function readCursor(subscriber: string): Promise<(EventCursor & { updatedAt: Date }) | null> {
    return await firstRow(
      db,
      `SELECT from_xid::text AS "fromXid", to_xid::text AS "toXid", position::text, updated_at AS "updatedAt"
       FROM event_cursors WHERE subscriber = $subscriber`,
      { subscriber },
    )
  }

  /** An idle subscriber costs reads only; its cursor still moves now and then, so that old events can be purged. */
  async function isWorthALock({ subscriber, types }: Subscription): Promise<boolean> {
    const state = await readCursor(subscriber)
    if (!state) return false
    if (clock().getTime() - state.updatedAt.getTime() > IDLE_MOVE_MS) return true
    return (await readEvents(db, state, 1, { types })).events.length > 0
  }

  /** Null: another worker has it, or it waits after a failure. */
  async function lockCursor(subscriber: string, transaction: Transaction): Promise<EventCursor | null> {
    return await firstRow<EventCursor>(
      db,
      `SELECT from_xid::text AS "fromXid", to_xid::text AS "toXid", position::text
       FROM event_cursors
       WHERE subscriber = $subscriber AND (retry_at IS NULL OR retry_at <= $now)
       FOR UPDATE SKIP LOCKED`,
      { subscriber, now: clock() },
      transaction,
    )
  }

  async function moveCursor(
    subscriber: string,
    cursor: EventCursor,
    transaction: Transaction,
  ): Promise<void> {
    await rows(
      db,
      `UPDATE event_cursors SET from_xid = $fromXid::xid8, to_xid = $toXid::xid8, position = $position::bigint,
         attempts = 0, retry_at = NULL, updated_at = $now
       WHERE subscriber = $subscriber`,
      { ...cursor, subscriber, now: clock() },
      transaction,
    )
  }

  async function noteFailure(
    { subscriber, types }: Subscription,
    { event, error }: { event: StoredEvent; error: unknown },
  ): Promise<void> {
    await db.transaction(async (transaction) => {
      const state = await lockCursor(subscriber, transaction)
      if (!state) return
      const [first] = (await readEvents(db, state, 1, { types }, transaction)).events
      // Another one has come before it meanwhile: it gets its turn first.
      if (first?.event.id !== event.id) return
      const row = await firstRow<{ attempts: number }>(
        db,
        `UPDATE event_cursors SET attempts = attempts + 1, updated_at = $now WHERE subscriber = $subscriber
         RETURNING attempts`,
        { subscriber, now: clock() },
        transaction,
      )
      const attempts = row?.attempts ?? 1
      log.warn('events', 'a subscriber failed', { subscriber, event_type: event.type, attempts, error })
      if (attempts < MAX_ATTEMPTS) {
        const retryAt = new Date(clock().getTime() + RETRY_BASE_MS * 2 ** (attempts - 1))
        await rows(
          db,
          'UPDATE event_cursors SET retry_at = $retryAt WHERE subscriber = $subscriber',
          { subscriber, retryAt },
          transaction,
        )
        return
      }
      await park(subscriber, event, error, transaction)
      await moveCursor(subscriber, first.cursor, transaction)
    })
  }

  async function park(
    subscriber: string,
    event: StoredEvent,
    error: unknown,
    transaction: Transaction,
  ): Promise<void> {
    await rows(
      db,
      `INSERT INTO parked_events (subscriber, position, type, payload, error, parked_at)
       VALUES ($subscriber, $position, $type, $payload, $error, $now) ON CONFLICT DO NOTHING`,
      {
        subscriber,
        position: event.id,
        type: event.type,
        payload: JSON.stringify(event),
        error: String(error).slice(0, 1_000),
        now: clock(),
      },
      transaction,
    )
    parked.inc({ subscriber })
    log.error('events', 'an event was parked', { subscriber, event_type: event.type, event_id: event.id })
  }

  async function run(subscription: Subscription, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => waiters.add(resolve))
      let more = false
      try {
        more = await step(subscription, BATCH)
      } catch (error) {
        log.warn('events', 'delivery is held up', { subscriber: subscription.subscriber, error })
      }
      if (more) continue
      await Promise.race([woken, sleep(POLL_MS, undefined, { signal }).catch(() => {})])
    }
  }

  return {
    async emit(given, transaction) {
      const events = Array.isArray(given) ? (given as readonly DomainEvent[]) : [given as DomainEvent]
      if (events.length === 0) return
      const records = events.map(({ workspaceId, type, ...payload }) => ({
        workspace_id: workspaceId,
        user_id: 'userId' in payload ? payload.userId : null,
        type,
        payload,
      }))
      await rows(
        db,
        `INSERT INTO domain_events (workspace_id, user_id, type, payload, created_at)
         SELECT workspace_id, user_id, type, payload, $now
         FROM ROWS FROM (jsonb_to_recordset($records::jsonb)
           AS (workspace_id uuid, user_id uuid, type text, payload jsonb)) WITH ORDINALITY AS record
           (workspace_id, user_id, type, payload, position)
         ORDER BY record.position`,
        { records: JSON.stringify(records), now: clock() },
        transaction,
      )
      tell(transaction)
    },
    subscribe(subscriber, types, handler) {
      if (subscriptions.some((known) => known.subscriber === subscriber)) {
        throw new Error(`two subscribers are called ${subscriber}`)
      }
      subscriptions.push({ subscriber, types, handler })
    },
    async startDispatcher() {
      for (const { subscriber } of subscriptions) await openCursor(db, subscriber, clock())
      stopping = new AbortController()
      const { signal } = stopping
      unsubscribe = await subscribeSoftly(store, EVENTS_CHANNEL, wake)
      loops = subscriptions.map((subscription) => run(subscription, signal))
    },
    async stopDispatcher() {
      stopping?.abort()
      wake()
      await unsubscribe?.()
      await Promise.all(loops)
    },
    async purge(before) {
      const gone = await rows<{ position: string }>(
        db,
        `DELETE FROM domain_events WHERE created_at < $before
           AND xid < (SELECT coalesce(min(from_xid), pg_current_xact_id()) FROM event_cursors
             WHERE updated_at > $abandoned)
         RETURNING position`,
        { before, abandoned: new Date(clock().getTime() - ABANDONED_MS) },
      )
      return gone.length
    },
  }
}

/**
 * A new subscriber starts with the oldest event kept. A cursor ahead of the server's transaction ids belongs to another
 * server (a dump restored): it starts there again, and subscribers are idempotent.
 */
async function openCursor(db: Sequelize, subscriber: string, now: Date): Promise<void> {
  await db.transaction(async (transaction) => {
    await rows(
      db,
      `INSERT INTO event_cursors (subscriber, from_xid, to_xid, position, updated_at)
       VALUES ($subscriber, '0', '0', 0, $now) ON CONFLICT DO NOTHING`,
      { subscriber, now },
      transaction,
    )
    await rows(db, `UPDATE domain_events SET xid = '1' WHERE xid > pg_current_xact_id()`, {}, transaction)
    await rows(
      db,
      `UPDATE event_cursors SET from_xid = '0', to_xid = '0', position = 0
       WHERE subscriber = $subscriber AND to_xid > pg_current_xact_id()`,
      { subscriber },
      transaction,
    )
  })
}
