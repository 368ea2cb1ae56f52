/** How much of the time controllers were connected, counted from their sessions. */
import type { Sequelize } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'
import { VISIBLE } from './access.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

const SHORTEST_MS = 60_000

/**
 * Share of the last 24 hours, or of the time since its activation, that each controller was connected, 0…1, by its id:
 * one query for all of them; overlapping sessions count once. Null for one that is not active or younger than a minute.
 */
export async function sharesOfDay(
  db: Sequelize,
  controllers: readonly { readonly id: string; readonly activatedAt: Date | null }[],
  now: Date,
): Promise<ReadonlyMap<string, number | null>> {
  const to = now.getTime()
  const asked = controllers
    .map(({ id, activatedAt }) => ({ id, from: Math.max(activatedAt?.getTime() ?? to, to - DAY_MS) }))
    .filter(({ from }) => to - from >= SHORTEST_MS)
  const shares = new Map<string, number | null>(controllers.map(({ id }) => [id, null]))
  if (asked.length === 0) return shares
  const found = await rows<{ id: string; share: number }>(
    db,
    `SELECT ask.id, least(1, coalesce(online.seconds, 0) / extract(epoch FROM $to::timestamptz - since))::float8 AS share
     FROM unnest($ids::uuid[], $froms::timestamptz[]) AS ask (id, since)
     CROSS JOIN LATERAL (
       SELECT sum(extract(epoch FROM upper(span) - lower(span))) AS seconds
       FROM (SELECT unnest(range_agg(tstzrange(greatest(connected_at, since),
               least(coalesce(disconnected_at, $to), $to)))) AS span
             FROM controller_sessions
             WHERE controller_id = ask.id AND connected_at < $to AND coalesce(disconnected_at, $to) > since
               AND coalesce(disconnected_at, $to) >= connected_at) spans) online`,
    { ids: asked.map(({ id }) => id), froms: asked.map(({ from }) => new Date(from).toISOString()), to: now },
  )
  for (const { id, share } of found) shares.set(id, share)
  return shares
}

/**
 * The last 24 hours of all that a person may see, oldest first, the last one still running: the mean share of the active
 * controllers online in each; null before the first was there.
 */
export async function availabilityByHour(
  db: Sequelize,
  userId: string,
  now: Date,
): Promise<{ hour: string; onlineShare: number | null }[]> {
  const thisHour = Math.floor(now.getTime() / HOUR_MS) * HOUR_MS
  const from = thisHour - 23 * HOUR_MS
  const found = await rows<{ start: number; share: number | null }>(
    db,
    `WITH mine AS (
       SELECT id, greatest(extract(epoch FROM activated_at), $from::float8) AS since FROM ${VISIBLE} c
       WHERE is_active AND deleted_at IS NULL
     ), spans AS (
       SELECT greatest(extract(epoch FROM connected_at), $from::float8) AS since,
         least(extract(epoch FROM disconnected_at), $now::float8) AS until
       FROM controller_sessions JOIN mine ON mine.id = controller_id
       WHERE disconnected_at IS NULL OR disconnected_at > to_timestamp($from::float8)
     ), hours AS (
       SELECT start, least(start + 3600, $now::float8) AS stop
       FROM generate_series($from::float8::bigint, $now::float8::bigint, 3600) AS start
     ), existed AS (
       SELECT start, sum(stop - greatest(start, since)) AS seconds
       FROM hours JOIN mine ON since < stop GROUP BY start
     ), online AS (
       SELECT start, sum(least(until, start + 3600) - greatest(since, start)) AS seconds
       FROM spans, generate_series((floor(since / 3600) * 3600)::bigint, until::bigint, 3600) AS start
       GROUP BY start
     )
     SELECT start::float8, CASE WHEN existed.seconds > 0
         THEN least(1, coalesce(online.seconds, 0) / existed.seconds)::float8 END AS share
     FROM hours LEFT JOIN existed USING (start) LEFT JOIN online USING (start) ORDER BY start`,
    { userId, from: from / 1_000, now: now.getTime() / 1_000 },
  )
  return found.map((row) => ({ hour: new Date(row.start * 1_000).toISOString(), onlineShare: row.share }))
}
