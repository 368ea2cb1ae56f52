/** What the gateway spared controllers by keeping and sharing their pages, summed up by day. */
import type { ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import type { Sequelize } from 'sequelize'
import type { RouteOutput } from '#src/kernel/contract.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow } from '#src/kernel/rows.ts'
import type { telemetry } from './contract.ts'

type Report = ControlPlaneInput<'page-figures/report'>
type Figures = RouteOutput<(typeof telemetry)['routes']['pageFigures']>

/** Adds a shard's report. What was counted before, and controllers that are gone, are left out. */
export async function addPageFigures(
  { db, clock }: Pick<Kernel, 'db' | 'clock'>,
  { stream, seq, day, figures }: Report,
): Promise<ControlPlaneOutput<'page-figures/report'>> {
  const row = await firstRow<{ count: number }>(
    db,
    `WITH given AS (
       SELECT g.* FROM jsonb_to_recordset($figures::jsonb) AS g("controllerId" uuid, requests bigint, "fromCache" bigint,
         coalesced bigint, "bytesToUsers" bigint, "bytesFromDevice" bigint)
       JOIN controllers c ON c.id = g."controllerId" AND c.deleted_at IS NULL
     ), fresh AS (
       INSERT INTO ingest_receipts (controller_id, kind, stream, seq, received_at)
       SELECT "controllerId", 'pages', $stream, $seq, $now FROM given
       ON CONFLICT DO NOTHING RETURNING controller_id
     ), added AS (
       INSERT INTO page_figures AS f
         (controller_id, day, requests, from_cache, coalesced, bytes_to_users, bytes_from_device)
       SELECT "controllerId", $day::date, requests, "fromCache", coalesced, "bytesToUsers", "bytesFromDevice"
       FROM given JOIN fresh ON fresh.controller_id = given."controllerId" ORDER BY "controllerId"
       ON CONFLICT (controller_id, day) DO UPDATE SET
         requests = f.requests + excluded.requests,
         from_cache = f.from_cache + excluded.from_cache,
         coalesced = f.coalesced + excluded.coalesced,
         bytes_to_users = f.bytes_to_users + excluded.bytes_to_users,
         bytes_from_device = f.bytes_from_device + excluded.bytes_from_device
       RETURNING 1
     ) SELECT count(*)::int AS count FROM added`,
    { figures: JSON.stringify(figures), stream, seq, day, now: clock() },
  )
  return { accepted: row!.count }
}

/** All days of a controller that are kept, in one. */
export async function sumPageFigures(db: Sequelize, controllerId: string): Promise<Figures> {
  const row = await firstRow<Omit<Figures, 'since'> & { since: string | null }>(
    db,
    `SELECT min(day)::text AS since, coalesce(sum(requests), 0)::float8 AS requests,
       coalesce(sum(from_cache), 0)::float8 AS "fromCache", coalesce(sum(coalesced), 0)::float8 AS coalesced,
       coalesce(sum(bytes_to_users), 0)::float8 AS "bytesToUsers",
       coalesce(sum(bytes_from_device), 0)::float8 AS "bytesFromDevice"
     FROM page_figures WHERE controller_id = $controllerId`,
    { controllerId },
  )
  return { ...row!, since: row!.since === null ? null : `${row!.since}T00:00:00.000Z` }
}
