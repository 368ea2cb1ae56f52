import type { Sequelize, Transaction } from 'sequelize'
import { firstRow, rows } from '#src/kernel/rows.ts'

/** Sums of larger values would leave the range of a double. */
const MAX_SUMMABLE = '1e300'
/** Marked minutes that one transaction takes. */
const MINUTES_PER_STEP = 20_000

/**
 * SQL: the columns of a rollup, counted from raw rows `m` per metric and `bucket`. Values that are no numbers are left
 * out; of values with the same time one of them counts as `last`, always the same.
 */
export const COUNT_RAW = `
  count(*)::bigint AS count, sum(number) AS sum, min(number) AS min, max(number) AS max,
  (array_agg(number ORDER BY "timestamp" DESC, id DESC))[1] AS last, max("timestamp") AS last_at`

/** SQL: raw rows with their value as a number, for `COUNT_RAW`. The cast would fail on other kinds of JSON. */
export const NUMBERS = `
  CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(m.value) = 'number' THEN m.value::float8 END AS number) n`
export const IS_NUMBER = `abs(number) <= ${MAX_SUMMABLE}`

interface Minute {
  readonly controllerId: string
  readonly bucket: Date
}

/**
 * Brings `metrics_1m`, `metrics_1h` and `metric_latest` up to the raw rows: every minute that ingest marked is counted
 * again as a whole, so it does not matter how often, or how late, a minute is marked. Answers how many were counted.
 * One run at a time over all processes; a second one waits for nothing and counts nothing.
 */
export async function countDirtyMinutes(db: Sequelize): Promise<number> {
  for (let total = 0; ;) {
    const counted = await db.transaction(async (transaction) => {
      if (!(await isAlone(db, transaction))) return 0
      const minutes = await takeDirty(db, transaction)
      if (minutes.length > 0) await count(db, minutes, transaction)
      return minutes.length
    })
    total += counted
    if (counted < MINUTES_PER_STEP) return total
  }
}

/** Two at once could overwrite the newer count with the older. */
async function isAlone(db: Sequelize, transaction: Transaction): Promise<boolean> {
  const row = await firstRow<{ locked: boolean }>(
    db,
    `SELECT pg_try_advisory_xact_lock(hashtextextended('metrics_rollup', 0)) AS locked`,
    {},
    transaction,
  )
  return row?.locked ?? false
}

function takeDirty(db: Sequelize, transaction: Transaction): Promise<Minute[]> {
  return rows<Minute>(
    db,
    `DELETE FROM metrics_dirty WHERE ctid = ANY(ARRAY(SELECT ctid FROM metrics_dirty LIMIT $limit))
     RETURNING controller_id AS "controllerId", bucket`,
    { limit: MINUTES_PER_STEP },
    transaction,
  )
}

/** Each statement sees at least what the one before saw: a row committed in between is marked and comes again. */
async function count(db: Sequelize, minutes: readonly Minute[], transaction: Transaction): Promise<void> {
  const bind = {
    controllers: minutes.map(({ controllerId }) => controllerId),
    buckets: minutes.map(({ bucket }) => bucket.toISOString()),
  }
  const marked = `(SELECT DISTINCT * FROM unnest($controllers::uuid[], $buckets::timestamptz[]) AS u (controller_id, bucket))`
  const hours = `(SELECT DISTINCT controller_id, date_bin('1 hour', bucket, 'epoch') AS bucket FROM ${marked} x)`
  const replace = `ON CONFLICT (controller_id, metric_type, bucket) DO UPDATE SET count = excluded.count,
    sum = excluded.sum, min = excluded.min, max = excluded.max, last = excluded.last, last_at = excluded.last_at`
  await db.query(
    `INSERT INTO metrics_1m (controller_id, metric_type, bucket, count, sum, min, max, last, last_at)
     SELECT m.controller_id, m.metric_type, d.bucket, ${COUNT_RAW}
     FROM ${marked} d
     JOIN metrics m ON m.controller_id = d.controller_id
       AND m."timestamp" >= d.bucket AND m."timestamp" < d.bucket + interval '1 minute'
     ${NUMBERS} WHERE ${IS_NUMBER} GROUP BY 1, 2, 3 ${replace}`,
    { bind, transaction },
  )
  await db.query(
    `INSERT INTO metrics_1h (controller_id, metric_type, bucket, count, sum, min, max, last, last_at)
     SELECT m.controller_id, m.metric_type, h.bucket, sum(count), sum(sum), min(min), max(max),
       (array_agg(last ORDER BY last_at DESC))[1], max(last_at)
     FROM ${hours} h
     JOIN metrics_1m m ON m.controller_id = h.controller_id
       AND m.bucket >= h.bucket AND m.bucket < h.bucket + interval '1 hour'
     GROUP BY 1, 2, 3 ${replace}`,
    { bind, transaction },
  )
  await db.query(
    `INSERT INTO metric_latest AS t (controller_id, metric_type, value, "timestamp")
     SELECT DISTINCT ON (1, 2) m.controller_id, m.metric_type, m.value, m."timestamp"
     FROM ${marked} d
     JOIN metrics m ON m.controller_id = d.controller_id
       AND m."timestamp" >= d.bucket AND m."timestamp" < d.bucket + interval '1 minute'
     ORDER BY 1, 2, m."timestamp" DESC, m.id DESC
     ON CONFLICT (controller_id, metric_type) DO UPDATE SET value = excluded.value, "timestamp" = excluded."timestamp"
     WHERE excluded."timestamp" >= t."timestamp"`,
    { bind, transaction },
  )
}
