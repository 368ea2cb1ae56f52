/** How much of the time controllers were connected, counted from their sessions. */
import type { Sequelize } from 'sequelize'
import { firstRow, rows } from '#src/kernel/rows.ts'

export const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** Share of `from`…`to` that one controller was connected, 0…1; overlapping sessions count once. */
export async function onlineShare(
  db: Sequelize,
  controllerId: string,
  from: Date,
  to: Date,
): Promise<number> {
  const row = await firstRow<{ seconds: number }>(
    db,
    `SELECT coalesce(sum(extract(epoch FROM upper(span) - lower(span))), 0)::float8 AS seconds
     FROM (SELECT unnest(range_agg(tstzrange(greatest(connected_at, $from),
             least(coalesce(disconnected_at, $to), $to)))) AS span
           FROM controller_sessions
           WHERE controller_id = $controllerId AND connected_at < $to
             AND coalesce(disconnected_at, $to) > $from
             AND coalesce(disconnected_at, $to) >= connected_at) spans`,
    { controllerId, from, to },
  )
  return Math.min(1, (row!.seconds * 1_000) / (to.getTime() - from.getTime()))
}

/**
 * The last 24 hours of some workspaces, oldest first, the last one still running: the mean share of their active
 * controllers online in each; null before the first was there.
 */
export async function availabilityByHour(
  db: Sequelize,
  workspaceIds: readonly string[],
  now: Date,
): Promise<{ hour: string; onlineShare: number | null }[]> {
  const thisHour = Math.floor(now.getTime() / HOUR_MS) * HOUR_MS
  const from = new Date(thisHour - 23 * HOUR_MS)
  const found = await rows<{ start: Date; share: number | null }>(
    db,
    `WITH hours AS (
       SELECT start, least(start + interval '1 hour', $now) AS stop
       FROM generate_series($from::timestamptz, $now::timestamptz, interval '1 hour') AS start
     ), mine AS (
       SELECT id, activated_at FROM controllers
       WHERE workspace_id = ANY($workspaceIds::uuid[]) AND is_active AND deleted_at IS NULL
     ), existed AS (
       SELECT start, sum(extract(epoch FROM stop - greatest(start, activated_at))) AS seconds
       FROM hours JOIN mine ON activated_at < stop GROUP BY start
     ), online AS (
       SELECT start, sum(extract(epoch FROM
           least(coalesce(s.disconnected_at, $now), stop) - greatest(s.connected_at, start))) AS seconds
       FROM controller_sessions s
       JOIN mine ON mine.id = s.controller_id
       JOIN hours ON s.connected_at < stop AND coalesce(s.disconnected_at, $now) > start
       WHERE s.disconnected_at IS NULL OR s.disconnected_at > $from
       GROUP BY start
     )
     SELECT start, CASE WHEN existed.seconds > 0
         THEN least(1, coalesce(online.seconds, 0) / existed.seconds)::float8 END AS share
     FROM hours LEFT JOIN existed USING (start) LEFT JOIN online USING (start) ORDER BY start`,
    { workspaceIds, from, now },
  )
  return found.map((row) => ({ hour: row.start.toISOString(), onlineShare: row.share }))
}
