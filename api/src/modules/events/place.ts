import type { Sequelize } from 'sequelize'
import { formatCursor, parseCursor, readEvents } from '#src/kernel/event-reader.ts'
import type { EventCursor } from '#src/kernel/event-reader.ts'
import type { Told } from './hub.ts'

/** Events are kept a day; an hour of it is left for clocks that differ and for a replay that takes its time. */
export const RESUMABLE_MS = 23 * 3_600_000
const BATCH = 200

/** `Last-Event-ID`: the place, and when it was told (ms since 1970). */
export function formatId(cursor: EventCursor, now: number): string {
  return `${formatCursor(cursor)}.${now.toString(36)}`
}

/** The place of an id; null when we did not make it, or what came after it may be gone. */
export function parseId(id: string, now: number): EventCursor | null {
  const [place = '', time = ''] = id.split('.')
  const age = now - Number.parseInt(time, 36)
  return age >= -RESUMABLE_MS && age <= RESUMABLE_MS ? parseCursor(place) : null
}

/** Whether a place lies behind another: it was made by another server, or a backup was restored. */
export function isBeyond(cursor: EventCursor, now: EventCursor): boolean {
  return BigInt(cursor.toXid) > BigInt(now.toXid)
}

/** What happened in these workspaces after `cursor` and in transactions below `end.toXid`. */
export async function* readBetween(
  db: Sequelize,
  cursor: EventCursor,
  end: EventCursor,
  workspaceIds: readonly string[],
): AsyncGenerator<Told> {
  const rest = { fromXid: cursor.toXid, toXid: end.toXid, position: '0' }
  for (const window of [cursor, rest]) {
    if (BigInt(window.fromXid) >= BigInt(window.toXid)) continue
    for (let place: EventCursor | undefined = window; place;) {
      const from: EventCursor = place
      const { events } = await db.transaction((transaction) =>
        readEvents(db, from, BATCH, { workspaceIds }, transaction),
      )
      // Where this window has nothing more, the reader goes on to the next one: not ours.
      const own = events.filter((told) => told.cursor.fromXid === window.fromXid)
      yield* own
      place = own.length === BATCH ? own.at(-1)?.cursor : undefined
    }
  }
}
