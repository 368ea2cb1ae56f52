import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { uuidv7 } from '@wmoc/platform/ids'
import type { IngestBatch } from '@wmoc/protocol/control-plane'
import { rows } from '#src/kernel/rows.ts'
import {
  insertControllers,
  insertUser,
  openMigratedDatabase,
  quietLog,
  type PlainDatabase,
} from '#src/testing/plain-rows.ts'
import type { LogRow, MetricRow } from './core/normalize.ts'
import { createIngest } from './ingest.ts'
import type { Live } from './live.ts'
import { createPartitions, partitionsOf } from './partitions.ts'

let database: PlainDatabase
let controllerIds: string[] = []
const told: { metrics: MetricRow[]; logs: LogRow[] } = { metrics: [], logs: [] }

/** Notes what watchers would be told: delivery by the store has a test of its own. */
const live: Live = {
  publish: (metrics, logs) => {
    told.metrics.push(...metrics)
    told.logs.push(...logs)
  },
  subscribe: async () => async () => {},
}

const ingestWith = (db = database.db) =>
  createIngest({ db, log: quietLog, clock: () => new Date() }, { partitions: createPartitions(db), live })

type Metrics = Extract<IngestBatch, { kind: 'metrics' }>
type Logs = Extract<IngestBatch, { kind: 'log' }>

const metrics = (over: Partial<Metrics> = {}): IngestBatch => ({
  kind: 'metrics',
  controllerId: controllerIds[0]!,
  stream: uuidv7(),
  seq: 1,
  receivedAt: Date.now(),
  items: [{ type: 'temperature', value: 21.5 }],
  ...over,
})
const logs = (over: Partial<Logs> = {}): IngestBatch => ({
  kind: 'log',
  controllerId: controllerIds[0]!,
  stream: uuidv7(),
  seq: 1,
  receivedAt: Date.now(),
  items: [{ level: 'info', message: 'started' }],
  ...over,
})

const count = async (table: string, controllerId: string): Promise<number> => {
  const [row] = await rows<{ n: number }>(
    database.db,
    `SELECT count(*)::int AS n FROM ${table} WHERE controller_id = $controllerId`,
    { controllerId },
  )
  return row!.n
}

suite('ingest', () => {
  before(async () => {
    database = await openMigratedDatabase({ poolMax: 12 })
    controllerIds = await insertControllers(database.db, await insertUser(database.db), 40)
  })
  after(() => database.close())

  test('stores metrics and log lines with their times and answers stored', async () => {
    const [id] = controllerIds.splice(0, 1)
    const at = Date.now() - 3_600_000
    const { results } = await ingestWith()({
      batches: [
        metrics({ controllerId: id!, items: [{ type: 'state', value: { on: true }, timestamp: at }] }),
        logs({
          controllerId: id!,
          items: [{ level: 'warn', message: 'low battery', timestamp: new Date(at).toISOString() }],
        }),
      ],
    })
    assert.deepEqual(results, ['stored', 'stored'])
    const found = await rows<{ value: unknown; timestamp: Date }>(
      database.db,
      'SELECT value, "timestamp" FROM metrics WHERE controller_id = $id',
      { id },
    )
    assert.deepEqual(found, [{ value: { on: true }, timestamp: new Date(at) }])
    const lines = await rows(
      database.db,
      'SELECT level, message, "timestamp" FROM logs WHERE controller_id = $id',
      { id },
    )
    assert.deepEqual(lines, [{ level: 'warn', message: 'low battery', timestamp: new Date(at) }])
  })

  test('stores a repeated batch once, in one call, in the next and at the same time', async () => {
    const [id] = controllerIds.splice(0, 1)
    const batch = metrics({ controllerId: id! })
    const first = await ingestWith()({ batches: [batch, batch, { ...batch }] })
    assert.deepEqual(first.results, ['stored', 'stored', 'stored'])
    const again = await Promise.all(
      Array.from({ length: 10 }, () =>
        ingestWith()({ batches: [batch, metrics({ controllerId: id!, stream: 'same', seq: 7 })] }),
      ),
    )
    assert.ok(again.every(({ results }) => results.every((result) => result === 'stored')))
    assert.equal(await count('metrics', id!), 2)
  })

  test('tells metrics and log lines with the same number apart', async () => {
    const [id] = controllerIds.splice(0, 1)
    await ingestWith()({
      batches: [metrics({ controllerId: id!, stream: 's' }), logs({ controllerId: id!, stream: 's' })],
    })
    assert.deepEqual([await count('metrics', id!), await count('logs', id!)], [1, 1])
  })

  test('stores every batch that has no number', async () => {
    const [id] = controllerIds.splice(0, 1)
    const batch = logs({ controllerId: id!, stream: 's', seq: null })
    await ingestWith()({ batches: [batch, batch] })
    await ingestWith()({ batches: [batch] })
    assert.equal(await count('logs', id!), 3)
  })

  test('refuses controllers that are unknown, not active or deleted, and keeps the others', async () => {
    const owner = await insertUser(database.db)
    const [pending] = await insertControllers(database.db, owner, 1, { isActive: false })
    const [deleted] = await insertControllers(database.db, owner, 1)
    await database.db.query('UPDATE controllers SET deleted_at = now() WHERE id = $deleted', {
      bind: { deleted },
    })
    const [id] = controllerIds.splice(0, 1)
    const { results } = await ingestWith()({
      batches: [uuidv7(), pending!, id!, deleted!].map((controllerId) => metrics({ controllerId })),
    })
    assert.deepEqual(results, ['refused', 'refused', 'stored', 'refused'])
    assert.equal(await count('metrics', id!), 1)
  })

  test('holds what hostile devices send, next to their neighbours', async () => {
    const [id, neighbour] = controllerIds.splice(0, 2)
    const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}1${']'.repeat(depth)}`)
    const values = [
      'a\0b',
      '\uD800',
      JSON.parse('{"__proto__":{"x":1},"\\u0000":"\\udfff"}'),
      JSON.parse('1e400'),
      1e308,
      -1e308,
      5e-324,
      nested(16),
      nested(3_000),
      '"; DROP TABLE metrics; --',
      '{1,2}',
      '\\',
      'NULL',
      null,
      '',
    ] as never[]
    const { results } = await ingestWith()({
      batches: [
        metrics({
          controllerId: id!,
          stream: 'a\0\uD800',
          items: values.map((value, i) => ({ type: `t${i}\0\uD800`, value })),
        }),
        logs({
          controllerId: id!,
          items: [
            { level: 'error', message: 'x\0\uDC00\r\n\u001b[31m' },
            { level: 'info', message: '' },
          ],
        }),
        metrics({ controllerId: neighbour! }),
      ],
    })
    assert.deepEqual(results, ['stored', 'stored', 'stored'])
    assert.equal(await count('metrics', id!), values.length)
    assert.equal(await count('logs', id!), 2)
    assert.equal(await count('metrics', neighbour!), 1)
  })

  test('refuses a batch the database cannot hold without losing its neighbours', async () => {
    const [id, ...others] = controllerIds.splice(0, 6)
    // A stream name too long for an index row, and random, so that it can't be compressed.
    const stream = Array.from({ length: 200 }, () => uuidv7()).join('')
    const batches = [
      ...others.map((controllerId) => metrics({ controllerId })),
      metrics({ controllerId: id!, stream }),
    ]
    const { results } = await ingestWith()({ batches })
    assert.deepEqual(results, [...others.map(() => 'stored'), 'refused'])
    for (const other of others) assert.equal(await count('metrics', other), 1)
  })

  test('makes the partitions that a batch needs, with 20 callers at once', async () => {
    const [id] = controllerIds.splice(0, 1)
    const days = [2, 3, 4, 5].map((ago) => Date.now() - ago * 86_400_000)
    await Promise.all(
      Array.from({ length: 20 }, () =>
        ingestWith()({
          batches: [
            metrics({
              controllerId: id!,
              items: days.map((timestamp) => ({ type: 't', value: 1, timestamp })),
            }),
            logs({
              controllerId: id!,
              items: days.map((timestamp) => ({ level: 'info', message: 'm', timestamp })),
            }),
          ],
        }),
      ),
    )
    assert.deepEqual([await count('metrics', id!), await count('logs', id!)], [80, 80])
    const names = await partitionsOf(database.db, 'metrics')
    for (const at of days)
      assert.ok(names.includes(`metrics_${new Date(at).toISOString().slice(0, 10).replaceAll('-', '')}`))
  })

  test('makes a partition anew that was dropped behind its back', async () => {
    const [id] = controllerIds.splice(0, 1)
    const ingest = ingestWith()
    const timestamp = Date.now() - 6 * 86_400_000
    const batch = (seq: number): IngestBatch =>
      metrics({ controllerId: id!, stream: 's', seq, items: [{ type: 't', value: 1, timestamp }] })
    await ingest({ batches: [batch(1)] })
    const day = new Date(timestamp).toISOString().slice(0, 10).replaceAll('-', '')
    await database.db.query(`DROP TABLE metrics_${day}`)
    assert.deepEqual(await ingest({ batches: [batch(2)] }), { results: ['stored'] })
    assert.equal(await count('metrics', id!), 1)
  })

  test('keeps all or nothing of a call whose connection dies, and the repeat stores it once', async () => {
    const ids = controllerIds.splice(0, 5)
    const single = await openPool()
    const batches = Array.from({ length: 1_000 }, (_, index) =>
      metrics({
        controllerId: ids[index % ids.length]!,
        stream: 'kill',
        seq: index,
        items: [
          { type: 't', value: index },
          { type: 'u', value: -index },
        ],
      }),
    )
    const ingest = ingestWith(single.db)
    const acknowledged = new Set<number>()
    const killer = setInterval(() => void killOthers(single.name), 15)
    for (let from = 0; from < batches.length; from += 50) {
      const part = batches.slice(from, from + 50)
      // As the gateway does: repeat until it is acknowledged, here at most 40 times.
      for (let attempt = 0; attempt < 40 && !acknowledged.has(from); attempt += 1) {
        await ingest({ batches: part }).then(
          ({ results }) => results.every((result) => result === 'stored') && acknowledged.add(from),
          () => undefined,
        )
        if (attempt === 30) clearInterval(killer)
      }
    }
    clearInterval(killer)
    await single.db.close()
    assert.equal(acknowledged.size, 20)
    for (const id of ids) assert.equal(await count('metrics', id), 400)
  })

  test('tells watchers what was stored, and a repeat not again', async () => {
    const [id] = controllerIds.splice(0, 1)
    const batches = [metrics({ controllerId: id! }), logs({ controllerId: id! })]
    await ingestWith()({ batches })
    await ingestWith()({ batches })
    assert.equal(told.metrics.filter((row) => row.controllerId === id).length, 1)
    assert.equal(told.logs.filter((row) => row.controllerId === id).length, 1)
  })
})

async function openPool(): Promise<{ db: PlainDatabase['db']; name: string }> {
  const { createDatabase } = await import('#src/kernel/db.ts')
  const name = `victim-${uuidv7()}`
  return { db: createDatabase({ url: database.url, poolMax: 2, log: quietLog, applicationName: name }), name }
}

async function killOthers(name: string): Promise<void> {
  await rows(
    database.db,
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $name AND state <> $idle',
    { name, idle: 'idle' },
  )
}
