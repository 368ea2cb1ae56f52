import type { IngestBatch } from '@wmoc/protocol/control-plane'
import type { Sequelize, Transaction } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'
import { minutesOf, type LogRow, type MetricRow } from './core/normalize.ts'

const time = (ms: number): string => new Date(ms).toISOString()

/** What makes a batch itself for ever. */
export function receiptKey(batch: Pick<IngestBatch, 'controllerId' | 'kind' | 'stream' | 'seq'>): string {
  return JSON.stringify([batch.controllerId, batch.kind, batch.stream, batch.seq])
}

/**
 * Which of these controllers exist and are active. They stay so until the transaction ends: a deletion waits, so no
 * row of the batch can lose its controller half-way.
 */
export async function lockActiveControllers(
  db: Sequelize,
  ids: readonly string[],
  transaction: Transaction,
): Promise<Set<string>> {
  const found = await rows<{ id: string }>(
    db,
    `SELECT id FROM controllers WHERE id = ANY($ids::uuid[]) AND is_active AND deleted_at IS NULL
     ORDER BY id FOR KEY SHARE`,
    { ids },
    transaction,
  )
  return new Set(found.map(({ id }) => id))
}

/** Notes that these batches were stored; answers the keys of those that had not been. `seq` must be there. */
export async function takeReceipts(
  db: Sequelize,
  batches: readonly IngestBatch[],
  transaction: Transaction,
): Promise<Set<string>> {
  // Everybody takes the keys in one order: two calls with the same batches wait for each other and never deadlock.
  const sorted = batches.toSorted((a, b) => (receiptKey(a) < receiptKey(b) ? -1 : 1))
  const fresh = await rows<Pick<IngestBatch, 'controllerId' | 'kind' | 'stream'> & { seq: string }>(
    db,
    `INSERT INTO ingest_receipts (controller_id, kind, stream, seq, received_at)
     SELECT * FROM unnest($ids::uuid[], $kinds::text[], $streams::text[], $seqs::bigint[], $times::timestamptz[])
     ON CONFLICT DO NOTHING
     RETURNING controller_id AS "controllerId", kind, stream, seq`,
    {
      ids: sorted.map((batch) => batch.controllerId),
      kinds: sorted.map((batch) => batch.kind),
      streams: sorted.map((batch) => batch.stream),
      seqs: sorted.map((batch) => batch.seq),
      times: sorted.map((batch) => time(batch.receivedAt)),
    },
    transaction,
  )
  return new Set(fresh.map((row) => receiptKey({ ...row, seq: Number(row.seq) })))
}

/** Stores rows and marks their minutes, so that the rollup job counts them again. */
export async function insertMetrics(
  db: Sequelize,
  metrics: readonly MetricRow[],
  transaction: Transaction,
): Promise<void> {
  if (metrics.length === 0) return
  await rows(
    db,
    `INSERT INTO metrics (id, controller_id, metric_type, value, "timestamp")
     SELECT * FROM unnest($ids::uuid[], $controllers::uuid[], $types::text[], $values::jsonb[], $times::timestamptz[])`,
    {
      ids: metrics.map((row) => row.id),
      controllers: metrics.map((row) => row.controllerId),
      types: metrics.map((row) => row.type),
      values: metrics.map((row) => JSON.stringify(row.value)),
      times: metrics.map((row) => time(row.at)),
    },
    transaction,
  )
  const minutes = minutesOf(metrics)
  await rows(
    db,
    `INSERT INTO metrics_dirty (controller_id, bucket) SELECT * FROM unnest($controllers::uuid[], $buckets::timestamptz[])`,
    {
      controllers: minutes.map(({ controllerId }) => controllerId),
      buckets: minutes.map(({ at }) => time(at)),
    },
    transaction,
  )
}

/** Stores log lines. */
export async function insertLogs(
  db: Sequelize,
  logs: readonly LogRow[],
  transaction: Transaction,
): Promise<void> {
  if (logs.length === 0) return
  await rows(
    db,
    `INSERT INTO logs (id, controller_id, level, message, "timestamp")
     SELECT * FROM unnest($ids::uuid[], $controllers::uuid[], $levels::text[], $messages::text[], $times::timestamptz[])`,
    {
      ids: logs.map((row) => row.id),
      controllers: logs.map((row) => row.controllerId),
      levels: logs.map((row) => row.level),
      messages: logs.map((row) => row.message),
      times: logs.map((row) => time(row.at)),
    },
    transaction,
  )
}
