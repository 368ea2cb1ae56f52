import type { Json } from '#src/kernel/clean-text.ts'
import type { Sequelize } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'
import { COUNT_RAW, IS_NUMBER, NUMBERS } from './rollup.ts'
import { MAX_POINTS, rollupTable, stepWidthMs, type MetricStep } from './core/steps.ts'
import type { METRIC_AGGREGATIONS } from './contract.ts'

type Aggregation = (typeof METRIC_AGGREGATIONS)[number]

/** JSON text of raw values that one answer may hold; a device may send 2 KiB a value. */
const MAX_RAW_CHARS = 8_388_608

export interface Range {
  readonly controllerId: string
  readonly types: readonly string[]
  readonly from: Date
  readonly to: Date
}

export interface Series {
  readonly type: string
  readonly points: { t: number; v: Json }[]
}

export interface LatestValue {
  readonly type: string
  readonly lastValue: Json
  readonly lastAt: string
  readonly numeric: boolean
}

/** What an aggregation is of the rollups that fall into one step. */
const AGGREGATES: Record<Aggregation, string> = {
  avg: 'sum(sum) / sum(count)',
  min: 'min(min)',
  max: 'max(max)',
  sum: 'sum(sum)',
  count: 'sum(count)::float8',
  last: '(array_agg(last ORDER BY last_at DESC))[1]',
}

/** SQL: minutes or hours of $controllerId that were marked and not counted yet. */
const dirty = (width: string): string =>
  `(SELECT DISTINCT date_bin('${width}', bucket, 'epoch') AS bucket FROM metrics_dirty WHERE controller_id = $controllerId)`

/** SQL: the rollup of $controllerId, its $types, $from … $to, with what is not counted yet counted on the spot. */
function rollups(table: 'metrics_1m' | 'metrics_1h'): string {
  const width = table === 'metrics_1m' ? '1 minute' : '1 hour'
  return `(
    SELECT metric_type, bucket, count, sum, min, max, last, last_at FROM ${table}
    WHERE controller_id = $controllerId AND metric_type = ANY($types::text[]) AND bucket >= $from AND bucket <= $to
      AND bucket NOT IN (SELECT bucket FROM ${dirty(width)} x)
    UNION ALL
    SELECT m.metric_type, d.bucket, ${COUNT_RAW}
    FROM ${dirty(width)} d
    JOIN metrics m ON m.controller_id = $controllerId AND m.metric_type = ANY($types::text[])
      AND m."timestamp" >= d.bucket AND m."timestamp" < d.bucket + interval '${width}'
    ${NUMBERS} WHERE ${IS_NUMBER} AND d.bucket >= $from AND d.bucket <= $to
    GROUP BY 1, 2
  )`
}

/** The last value of each metric that the controller has sent, by name. */
export async function latestValues(
  db: Sequelize,
  controllerId: string,
  limit: number,
): Promise<LatestValue[]> {
  const found = await rows<Omit<LatestValue, 'lastAt'> & { lastAt: Date }>(
    db,
    `SELECT DISTINCT ON (metric_type) metric_type AS type, value AS "lastValue", "timestamp" AS "lastAt",
       jsonb_typeof(value) = 'number' AS numeric
     FROM (
       SELECT metric_type, value, "timestamp" FROM metric_latest WHERE controller_id = $controllerId
       UNION ALL
       SELECT m.metric_type, m.value, m."timestamp" FROM ${dirty('1 minute')} d
       JOIN metrics m ON m.controller_id = $controllerId
         AND m."timestamp" >= d.bucket AND m."timestamp" < d.bucket + interval '1 minute'
     ) l ORDER BY metric_type, "timestamp" DESC LIMIT $limit`,
    { controllerId, limit },
  )
  return found.map((row) => ({ ...row, lastAt: row.lastAt.toISOString() }))
}

/** Series of numbers in steps aligned to 1970 UTC, from the rollup that suits the step. `from` counts from its step on. */
export async function aggregatedSeries(
  db: Sequelize,
  range: Range,
  step: Exclude<MetricStep, 'raw'>,
  aggregation: Aggregation,
): Promise<Series[]> {
  const widthMs = stepWidthMs(step)
  const found = await rows<Series>(
    db,
    `SELECT type, json_agg(json_build_object('t', t, 'v', v) ORDER BY t) AS points FROM (
       SELECT metric_type AS type,
         (extract(epoch FROM date_bin($width::interval, bucket, 'epoch')) * 1000)::bigint AS t,
         ${AGGREGATES[aggregation]} AS v
       FROM ${rollups(rollupTable(step))} r GROUP BY 1, 2
     ) s GROUP BY type`,
    {
      controllerId: range.controllerId,
      types: range.types,
      from: new Date(Math.floor(range.from.getTime() / widthMs) * widthMs).toISOString(),
      to: range.to.toISOString(),
      width: `${widthMs / 1000} seconds`,
    },
  )
  return inOrder(range.types, found)
}

/** Values as they came; null when they are more than an answer may hold (points a series, or text in all). */
export async function rawSeries(db: Sequelize, range: Range): Promise<Series[] | null> {
  const bind = {
    controllerId: range.controllerId,
    types: range.types,
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    limit: MAX_POINTS + 1,
  }
  const source = `unnest($types::text[]) AS asked (type), LATERAL (
      SELECT value, "timestamp" AS at, id FROM metrics
      WHERE controller_id = $controllerId AND metric_type = asked.type AND "timestamp" >= $from AND "timestamp" <= $to
      ORDER BY "timestamp" LIMIT $limit
    ) m`
  const sizes = await rows<{ points: number; chars: number }>(
    db,
    `SELECT count(*)::int AS points, sum(length(value::text))::float8 AS chars FROM ${source} GROUP BY asked.type`,
    bind,
  )
  const chars = sizes.reduce((sum, size) => sum + size.chars, 0)
  if (chars > MAX_RAW_CHARS || sizes.some(({ points }) => points > MAX_POINTS)) return null
  const found = await rows<Series>(
    db,
    `SELECT asked.type, json_agg(json_build_object(
       't', (extract(epoch FROM at) * 1000)::bigint, 'v', value) ORDER BY at, id) AS points
     FROM ${source} GROUP BY asked.type`,
    bind,
  )
  return inOrder(range.types, found)
}

/** One series per type that was asked for, empty where there is nothing. */
function inOrder(types: readonly string[], series: readonly Series[]): Series[] {
  const found = new Map(series.map((row) => [row.type, row.points]))
  return types.map((type) => ({ type, points: found.get(type) ?? [] }))
}
