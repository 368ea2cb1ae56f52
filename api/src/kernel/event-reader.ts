/** Reading the outbox of domain events without skipping what commits late. */
import type { Sequelize, Transaction } from 'sequelize'
import type { DomainEvent } from './domain-events.ts'
import { firstRow, rows } from './rows.ts'

/** Published (without content) when events were committed: a reader looks sooner than its poll would. */
export const EVENTS_CHANNEL = 'wmoc:events'

/**
 * The place of a reader: it has had everything of transactions below `fromXid`, and of those in [fromXid, toXid)
 * what stands at or before `position`. All three are 64-bit integers as text.
 */
export interface EventCursor {
  readonly fromXid: string
  readonly toXid: string
  readonly position: string
}

export type StoredEvent = DomainEvent & { readonly id: string; readonly recordedAt: Date }

export interface EventFilter {
  readonly types?: readonly string[]
  readonly workspaceIds?: readonly string[]
}

interface EventRow {
  position: string
  workspaceId: string
  type: string
  payload: object
  createdAt: Date
}

/** The place after everything that is committed now and before everything that is not. */
export async function latestCursor(db: Sequelize, transaction?: Transaction): Promise<EventCursor> {
  const row = await firstRow<{ xmin: string }>(
    db,
    'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
    {},
    transaction,
  )
  const xmin = row?.xmin ?? '0'
  return { fromXid: xmin, toXid: xmin, position: '0' }
}

/**
 * Up to `limit` events after the cursor, each with the cursor behind it, and the cursor behind all that was looked at.
 *
 * A window [fromXid, toXid) holds only ended transactions, so nothing can appear in it later; inside it the order is
 * that of insertion. Two events of one aggregate are inserted under its row lock, so their order is that of commits.
 */
export async function readEvents(
  db: Sequelize,
  cursor: EventCursor,
  limit: number,
  filter: EventFilter = {},
  transaction?: Transaction,
): Promise<{ events: { event: StoredEvent; cursor: EventCursor }[]; cursor: EventCursor }> {
  const inWindow = await readWindow(db, cursor, limit, filter, transaction)
  if (inWindow.length > 0) {
    const events = inWindow.map((row) => ({
      event: toEvent(row),
      cursor: { ...cursor, position: row.position },
    }))
    return { events, cursor: events.at(-1)?.cursor ?? cursor }
  }
  const next = { fromXid: cursor.toXid, toXid: (await latestCursor(db, transaction)).toXid, position: '0' }
  if (BigInt(next.toXid) <= BigInt(next.fromXid)) return { events: [], cursor }
  const found = (await readWindow(db, next, limit, filter, transaction)).map((row) => ({
    event: toEvent(row),
    cursor: { ...next, position: row.position },
  }))
  return {
    events: found,
    cursor: found.at(-1)?.cursor ?? { fromXid: next.toXid, toXid: next.toXid, position: '0' },
  }
}

/** Short text of a cursor for `Last-Event-ID`. */
export function formatCursor(cursor: EventCursor): string {
  return [cursor.fromXid, cursor.toXid, cursor.position].map((part) => BigInt(part).toString(36)).join('-')
}

/** Null for text that `formatCursor` did not make. */
export function parseCursor(text: string): EventCursor | null {
  if (!/^[0-9a-z]{1,13}-[0-9a-z]{1,13}-[0-9a-z]{1,13}$/.test(text)) return null
  const [fromXid = '0', toXid = '0', position = '0'] = text
    .split('-')
    .map((part) => fromBase36(part).toString())
  const tooLarge = [fromXid, toXid, position].some((value) => BigInt(value) > 2n ** 63n - 1n)
  return tooLarge ? null : { fromXid, toXid, position }
}

function fromBase36(text: string): bigint {
  let value = 0n
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36))
  return value
}

function readWindow(
  db: Sequelize,
  cursor: EventCursor,
  limit: number,
  filter: EventFilter,
  transaction?: Transaction,
): Promise<EventRow[]> {
  return rows<EventRow>(
    db,
    `SELECT position::text, workspace_id AS "workspaceId", type, payload, created_at AS "createdAt"
     FROM domain_events
     WHERE xid >= $fromXid::xid8 AND xid < $toXid::xid8 AND position > $position::bigint
       AND ($types::text[] IS NULL OR type = ANY($types::text[]))
       AND ($workspaceIds::uuid[] IS NULL OR workspace_id = ANY($workspaceIds::uuid[]))
     ORDER BY domain_events.position LIMIT $limit`,
    {
      fromXid: cursor.fromXid,
      toXid: cursor.toXid,
      position: cursor.position,
      limit,
      types: filter.types ?? null,
      workspaceIds: filter.workspaceIds ?? null,
    },
    transaction,
  )
}

function toEvent(row: EventRow): StoredEvent {
  return {
    ...(row.payload as DomainEvent),
    workspaceId: row.workspaceId,
    type: row.type,
    id: row.position,
    recordedAt: row.createdAt,
  } as StoredEvent
}
