/** Background jobs on pg-boss: rows in the same Postgres, so a job exists exactly when the business change does. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import { readOnScrape } from '@wmoc/platform/scrape'
import type { Tracing } from '@wmoc/platform/tracing'
import { PgBoss } from 'pg-boss'
import type { Sequelize, Transaction } from 'sequelize'
import type { z } from 'zod'
import type { JobQueue } from './module.ts'
import { firstRow, rows } from './rows.ts'

const SCHEMA = 'pgboss'
const POLL_S = 1
const JOB_TIMEOUT_S = 60
/** 2, 4, 8 … s between the tries. */
const RETRY_LIMIT = 8
const DUE_EVERY_MS = 10_000

export interface JobQueueWithWorkers extends JobQueue {
  /** Opens the queue for `enqueue`; with `work`, also runs handlers, schedules and intervals. */
  start(options: { work: boolean }): Promise<void>
  /** Lets running jobs end (bounded), then closes. */
  stop(): Promise<void>
}

interface Deps {
  readonly databaseUrl: string
  readonly db: Sequelize
  readonly log: Logger
  readonly metrics: Metrics
  readonly tracing?: Tracing | null
}

interface Handler {
  readonly schema: z.ZodType<object>
  readonly run: (data: never) => Promise<void>
}

/** Makes pg-boss's own schema, or brings it up to date. Part of migrating; processes only use it. */
export async function installJobs(databaseUrl: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: databaseUrl,
    schema: SCHEMA,
    max: 1,
    supervise: false,
    schedule: false,
  })
  await boss.start()
  await boss.stop({ graceful: false })
}

/** Whether `installJobs` of this version has been there. */
export async function areJobsInstalled(databaseUrl: string): Promise<boolean> {
  const boss = new PgBoss({
    connectionString: databaseUrl,
    schema: SCHEMA,
    max: 1,
    migrate: false,
    createSchema: false,
    supervise: false,
    schedule: false,
  })
  boss.on('error', () => {})
  try {
    await boss.start()
    return true
  } catch {
    return false
  } finally {
    await boss.stop({ graceful: false })
  }
}

/** Makes the queue; nothing is opened before `start`. */
export function createJobQueue({ databaseUrl, db, log, metrics, tracing = null }: Deps): JobQueueWithWorkers {
  const handlers = new Map<string, Handler>()
  const schedules = new Map<string, { cron: string; run: () => Promise<void> }>()
  const intervals = new Map<string, { everyMs: number; run: () => Promise<void> }>()
  const done = metrics.counter('wmoc_api_jobs_done_total', 'Jobs by outcome', ['task', 'outcome'])
  const seconds = metrics.histogram('wmoc_api_job_duration_seconds', 'Duration of jobs', {
    labelNames: ['task'],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300],
  })
  watchDueJobs(metrics, db, (name) => handlers.has(name) || schedules.has(name))
  const stopping = new AbortController()
  let boss: PgBoss | null = null
  let loops: Promise<void>[] = []

  function refuseTwice(name: string): void {
    if (handlers.has(name) || schedules.has(name) || intervals.has(name))
      throw new Error(`two jobs are called ${name}`)
  }

  async function timed(name: string, task: () => Promise<void>): Promise<void> {
    const end = seconds.startTimer({ task: name })
    try {
      await task()
      done.inc({ task: name, outcome: 'done' })
    } catch (error) {
      done.inc({ task: name, outcome: 'failed' })
      log.warn('jobs', 'a job failed', { job: name, error })
      throw error
    } finally {
      end()
    }
  }

  /** What ticks every few seconds has none: a span for each job that was asked for, and each schedule. */
  async function traced(name: string, task: () => Promise<void>): Promise<void> {
    if (tracing === null) return await task()
    const span = tracing.start(`job ${name}`, { kind: 'consumer' })
    try {
      await tracing.within(span, task)
      span.end()
    } catch (error) {
      span.end('failed')
      throw error
    }
  }

  async function work(opened: PgBoss): Promise<void> {
    for (const [name, { schema, run }] of handlers) {
      await opened.work(name, { pollingIntervalSeconds: POLL_S, batchSize: 1 }, async (jobs) => {
        for (const job of jobs)
          await timed(name, () => traced(name, () => run(schema.parse(job.data) as never)))
      })
    }
    for (const [name, { cron, run }] of schedules) {
      await opened.schedule(name, cron)
      await opened.work(name, { pollingIntervalSeconds: POLL_S, batchSize: 1 }, () =>
        timed(name, () => traced(name, run)),
      )
    }
    loops = [...intervals].map(([name, interval]) => repeat(name, interval.everyMs, interval.run))
  }

  /** Every worker ticks; an advisory lock lets one run at a time. */
  async function repeat(name: string, everyMs: number, run: () => Promise<void>): Promise<void> {
    const { signal } = stopping
    while (!signal.aborted) {
      await underLock(name, run).catch(() => {})
      await sleep(everyMs, undefined, { signal }).catch(() => {})
    }
  }

  async function underLock(name: string, run: () => Promise<void>): Promise<void> {
    await timed(name, () =>
      db.transaction(async (transaction) => {
        await db.query('SET LOCAL idle_in_transaction_session_timeout = 0', { transaction })
        const row = await firstRow<{ got: boolean }>(
          db,
          'SELECT pg_try_advisory_xact_lock(hashtextextended($name, 1)) AS got',
          { name: `interval ${name}` },
          transaction,
        )
        if (row?.got) await run()
      }),
    )
  }

  return {
    async enqueue(name, data, { transaction, startAfter, singletonKey, retryLimit }) {
      if (!handlers.has(name)) throw new Error(`no job is called ${name}`)
      if (!boss) throw new Error('the job queue is not open')
      await boss.send(name, data, {
        // The queue holds one waiting job per key; a job without one gets a key of its own.
        singletonKey: singletonKey ?? randomUUID(),
        ...(startAfter ? { startAfter } : {}),
        ...(retryLimit === undefined ? {} : { retryLimit }),
        ...(transaction ? { db: inTransaction(transaction) } : {}),
      })
    },
    handle(name, schema, handler) {
      refuseTwice(name)
      handlers.set(name, {
        schema,
        run: handler,
      })
    },
    schedule(name, cron, handler) {
      refuseTwice(name)
      schedules.set(name, { cron, run: handler })
    },
    every(name, everyMs, handler) {
      refuseTwice(name)
      intervals.set(name, { everyMs, run: handler })
    },
    async start(options) {
      boss = new PgBoss({
        connectionString: databaseUrl,
        schema: SCHEMA,
        application_name: 'wmoc-jobs',
        max: options.work ? 4 : 2,
        migrate: false,
        createSchema: false,
        supervise: options.work,
        schedule: options.work,
      })
      boss.on('error', (error) => log.warn('jobs', 'the job queue reports', { error }))
      await boss.start()
      for (const name of handlers.keys()) {
        await boss.createQueue(name, {
          policy: 'short',
          retryLimit: RETRY_LIMIT,
          retryDelay: 2,
          retryBackoff: true,
          expireInSeconds: JOB_TIMEOUT_S,
        })
      }
      for (const name of schedules.keys()) {
        await boss.createQueue(name, {
          policy: 'stately',
          retryLimit: 0,
          expireInSeconds: 15 * JOB_TIMEOUT_S,
        })
      }
      if (options.work) await work(boss)
    },
    async stop() {
      stopping.abort()
      await boss?.stop({ graceful: true, timeout: 10_000 })
      await Promise.all(loops)
    },
  }
}

const DUE_SQL = `
  SELECT name, count(*)::int AS count, extract(epoch FROM now() - min(start_after))::float8 AS seconds
  FROM ${SCHEMA}.job WHERE state < 'active' AND start_after <= now() GROUP BY name`

interface DueJobs {
  readonly name: string
  readonly count: number
  readonly seconds: number
}

/** Every process tells it, so that it is seen when there is no worker. */
function watchDueJobs(metrics: Metrics, db: Sequelize, isOurs: (name: string) => boolean): void {
  const read = async () => (await rows<DueJobs>(db, DUE_SQL, {})).filter(({ name }) => isOurs(name))
  const due = metrics.gauge('wmoc_api_jobs_due', 'Jobs whose time has come and that no worker has taken.', [
    'task',
  ])
  const oldest = metrics.gauge(
    'wmoc_api_jobs_oldest_due_seconds',
    'How long the job has been due that has waited longest; 0 where none waits.',
  )
  const byTask = async () =>
    (await read()).map(({ name, count }) => ({ labels: { task: name }, value: count }))
  const longest = async () => {
    return [{ labels: {}, value: Math.max(0, ...(await read()).map(({ seconds }) => seconds)) }]
  }
  readOnScrape(due, byTask, { everyMs: DUE_EVERY_MS })
  readOnScrape(oldest, longest, { everyMs: DUE_EVERY_MS })
}

/** pg-boss's statements on the connection of a Sequelize transaction, which is a client of `pg`. */
function inTransaction(transaction: Transaction): {
  executeSql(text: string, values?: unknown[]): Promise<{ rows: object[] }>
} {
  const { connection } = transaction as unknown as {
    connection: { query(text: string, values?: unknown[]): Promise<{ rows: object[] }> }
  }
  return { executeSql: (text, values) => connection.query(text, values) }
}
