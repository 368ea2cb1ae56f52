import type { ControlPlaneOutput, IngestBatch } from '@wmoc/protocol/control-plane'
import { uuidv7 } from '@wmoc/platform/ids'
import type { Transaction } from 'sequelize'
import { cleanText } from '#src/kernel/clean-text.ts'
import { sqlState } from '#src/kernel/errors.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { daysOf, eventTime, logRows, metricRows, type LogRow, type MetricRow } from './core/normalize.ts'
import type { Live } from './live.ts'
import type { Partitions } from './partitions.ts'
import { insertLogs, insertMetrics, lockActiveControllers, receiptKey, takeReceipts } from './writes.ts'

type Outcome = ControlPlaneOutput<'ingest'>['results'][number]

/** A batch with the rows it becomes. */
interface Prepared {
  readonly batch: IngestBatch
  readonly metrics: readonly MetricRow[]
  readonly logs: readonly LogRow[]
}

/** What one transaction has stored. */
interface Stored {
  readonly outcomes: Outcome[]
  readonly metrics: readonly MetricRow[]
  readonly logs: readonly LogRow[]
}

const ATTEMPTS = 4

/**
 * Stores batches of metrics and log lines, all in one transaction, and answers after commit: `stored` for what is
 * stored now or was before (same controller, kind, stream and seq), `refused` for controllers that are unknown or not
 * active and for a batch the database can't hold. Throws when the database is away; then nothing counts as stored.
 */
export function createIngest(
  { db, log, clock }: Pick<Kernel, 'db' | 'log' | 'clock'>,
  { partitions, live }: { partitions: Partitions; live: Live },
): (input: { batches: IngestBatch[] }) => Promise<ControlPlaneOutput<'ingest'>> {
  async function store(batches: readonly Prepared[], transaction: Transaction): Promise<Stored> {
    const ids = new Set(batches.map(({ batch }) => batch.controllerId))
    const active = await lockActiveControllers(db, [...ids], transaction)
    const fresh = await onlyFresh(
      batches.filter(({ batch }) => active.has(batch.controllerId)),
      transaction,
    )
    const metrics = fresh.flatMap((prepared) => prepared.metrics)
    const logs = fresh.flatMap((prepared) => prepared.logs)
    await insertMetrics(db, metrics, transaction)
    await insertLogs(db, logs, transaction)
    const outcomes = batches.map(({ batch }) => (active.has(batch.controllerId) ? 'stored' : 'refused'))
    return { outcomes, metrics, logs }
  }

  async function onlyFresh(batches: readonly Prepared[], transaction: Transaction): Promise<Prepared[]> {
    const unnumbered = batches.filter(({ batch }) => batch.seq === null)
    const numbered = new Map(
      batches.filter(({ batch }) => batch.seq !== null).map((entry) => [receiptKey(entry.batch), entry]),
    )
    const keys = await takeReceipts(
      db,
      [...numbered.values()].map(({ batch }) => batch),
      transaction,
    )
    return [...unnumbered, ...[...numbered].filter(([key]) => keys.has(key)).map(([, entry]) => entry)]
  }

  async function storeWithRetries(batches: readonly Prepared[]): Promise<Stored> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // Before the transaction: a second connection asked for inside it could starve a small pool.
        await partitions.ensure('metrics', daysOf(batches.flatMap(({ metrics }) => metrics)))
        await partitions.ensure('logs', daysOf(batches.flatMap(({ logs }) => logs)))
        return await db.transaction((transaction) => store(batches, transaction))
      } catch (error) {
        if (attempt === ATTEMPTS || !isPassing(sqlState(error))) throw error
        partitions.forget()
      }
    }
  }

  /** One batch that the database can't hold must not take its neighbours with it. */
  async function storeApart(batches: readonly Prepared[]): Promise<Stored> {
    try {
      return await storeWithRetries(batches)
    } catch (error) {
      const state = sqlState(error)
      if (!isDataFault(state)) throw error
      if (batches.length === 1) {
        log.warn('ingest', 'refused a batch that the database cannot hold', { sql_state: state })
        return { outcomes: ['refused'], metrics: [], logs: [] }
      }
      const middle = Math.ceil(batches.length / 2)
      const left = await storeApart(batches.slice(0, middle))
      const right = await storeApart(batches.slice(middle))
      return {
        outcomes: [...left.outcomes, ...right.outcomes],
        metrics: [...left.metrics, ...right.metrics],
        logs: [...left.logs, ...right.logs],
      }
    }
  }

  return async ({ batches }) => {
    if (batches.length === 0) return { results: [] }
    const { outcomes, metrics, logs } = await storeApart(
      batches.map((batch) => prepare(batch, clock().getTime())),
    )
    live.publish(metrics, logs)
    return { results: outcomes }
  }
}

function prepare(raw: IngestBatch, now: number): Prepared {
  const batch = { ...raw, stream: cleanText(raw.stream), receivedAt: eventTime(raw.receivedAt, now) }
  const ids = batch.items.map(() => uuidv7(now)).toSorted()
  return {
    batch,
    metrics: batch.kind === 'metrics' ? metricRows(batch, ids) : [],
    logs: batch.kind === 'log' ? logRows(batch, ids) : [],
  }
}

/** Deadlock, serialization, lock timeout; 23514: the partition was dropped under us. */
function isPassing(state: string): boolean {
  return ['40P01', '40001', '55P03', '23514'].includes(state)
}

/** Classes 22 (data exception), 23 (integrity) and 54 (program limit, such as an index row too large). */
function isDataFault(state: string): boolean {
  return /^(22|23|54)/.test(state)
}
