import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { AppError } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import type { MetricItem } from '@wmoc/protocol/messages'
import fc from 'fast-check'
import { createDatabase } from '#src/kernel/db.ts'
import { rows } from '#src/kernel/rows.ts'
import { TIER_LIMITS } from '#src/kernel/tiers.ts'
import {
  insertControllers,
  insertUser,
  openMigratedDatabase,
  quietLog,
  type PlainDatabase,
} from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { telemetry } from './contract.ts'
import { createIngest } from './ingest.ts'
import { createPartitions, partitionsOf } from './partitions.ts'
import { createRetention } from './retention.ts'
import { countDirtyMinutes } from './rollup.ts'
import { createTelemetryService } from './service.ts'

const DAY = 86_400_000
const HOUR = 3_600_000
const MINUTE = 60_000

let database: PlainDatabase
let controllerIds: string[] = []
const silent = { publish: () => {}, subscribe: async () => async () => {} }
const clock = (): Date => new Date()

async function store(controllerId: string, items: readonly MetricItem[]): Promise<void> {
  const ingest = createIngest(
    { db: database.db, log: quietLog, clock },
    { partitions: createPartitions(database.db), live: silent },
  )
  const batches = Array.from({ length: Math.ceil(items.length / 500) }, (_, index) => ({
    kind: 'metrics' as const,
    controllerId,
    stream: uuidv7(),
    seq: 1,
    receivedAt: Date.now(),
    items: items.slice(index * 500, (index + 1) * 500),
  }))
  const { results } = await ingest({ batches })
  assert.ok(results.every((result) => result === 'stored'))
}

const service = () => createTelemetryService({ db: database.db, clock })
/** As the binding does: parsed and defaulted by the contract. */
const ask = (id: string, query: object) => service().metrics(id, telemetry.routes.metrics.query.parse(query))

interface Rollup {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly last: number
}

/** Counts raw values again, the plain way. */
function recount(
  items: readonly { value: unknown; timestamp: number }[],
  width: number,
): Map<number, Rollup> {
  const buckets = new Map<number, { values: number[]; last: number; lastAt: number }>()
  for (const { value, timestamp } of items) {
    if (typeof value !== 'number' || Math.abs(value) > 1e300) continue
    const key = Math.floor(timestamp / width) * width
    const bucket = buckets.get(key) ?? { values: [], last: value, lastAt: -1 }
    bucket.values.push(value)
    if (timestamp > bucket.lastAt) Object.assign(bucket, { last: value, lastAt: timestamp })
    buckets.set(key, bucket)
  }
  return new Map(
    [...buckets].map(([key, { values, last }]) => [
      key,
      {
        count: values.length,
        sum: values.reduce((sum, value) => sum + value, 0),
        min: Math.min(...values),
        max: Math.max(...values),
        last,
      },
    ]),
  )
}

async function stored(table: string, controllerId: string): Promise<Map<number, Rollup>> {
  const found = await rows<Rollup & { bucket: Date; count: string }>(
    database.db,
    `SELECT bucket, count, sum, min, max, last FROM ${table} WHERE controller_id = $controllerId ORDER BY bucket`,
    { controllerId },
  )
  return new Map(
    found.map(({ bucket, count, ...rest }) => [bucket.getTime(), { count: Number(count), ...rest }]),
  )
}

const byKey = (map: Map<number, Rollup>) => [...map].toSorted(([a], [b]) => a - b)

suite('telemetry service', () => {
  before(async () => {
    database = await openMigratedDatabase()
    controllerIds = await insertControllers(
      database.db,
      await insertUser(database.db, { tier: 'premium' }),
      200,
    )
  })
  after(() => database.close())
  const take = (): string => controllerIds.splice(0, 1)[0]!

  test('keeps rollups equal to a recount of the raw values, however late and often they come', async () => {
    // Whole numbers: the order of adding up does not show. Each time once: `last` has one answer.
    const base = Math.floor(Date.now() / HOUR) * HOUR - 3 * HOUR
    const item = fc.record({
      value: fc.oneof(fc.integer({ min: -1_000, max: 1_000 }), fc.constantFrom('on', true, null, 1e308)),
      timestamp: fc.integer({ min: base, max: base + 2 * HOUR }),
    })
    const step = fc.oneof(
      fc.uniqueArray(item, { selector: ({ timestamp }) => timestamp, minLength: 1, maxLength: 40 }),
      fc.constant('count' as const),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const id = take()
        const all = new Map<number, { value: number | string | boolean | null; timestamp: number }>()
        for (const part of [...steps, 'count' as const]) {
          if (part === 'count') {
            await countDirtyMinutes(database.db)
            continue
          }
          const fresh = part.filter(({ timestamp }) => !all.has(timestamp))
          for (const one of fresh) all.set(one.timestamp, one)
          await store(
            id,
            fresh.map((one) => ({ type: 't', ...one })),
          )
        }
        const items = [...all.values()]
        assert.deepEqual(byKey(await stored('metrics_1m', id)), byKey(recount(items, MINUTE)))
        assert.deepEqual(byKey(await stored('metrics_1h', id)), byKey(recount(items, HOUR)))
        const newest = items.toSorted((a, b) => b.timestamp - a.timestamp)[0]
        const { items: types } = await service().metricTypes(id)
        assert.deepEqual(
          types.map(({ lastValue }) => lastValue),
          newest ? [newest.value] : [],
        )
      }),
      { numRuns: 25 },
    )
  })

  test('counts a minute anew that is marked while others count, with several counters at once', async () => {
    const id = take()
    const at = Math.floor(Date.now() / HOUR) * HOUR - HOUR
    const items = Array.from({ length: 200 }, (_, index) => ({
      type: 't',
      value: index,
      timestamp: at + index * 1_000,
    }))
    await Promise.all([
      ...Array.from({ length: 20 }, (_, index) => store(id, items.slice(index * 10, (index + 1) * 10))),
      ...Array.from({ length: 10 }, () => countDirtyMinutes(database.db)),
    ])
    await countDirtyMinutes(database.db)
    assert.deepEqual(byKey(await stored('metrics_1m', id)), byKey(recount(items, MINUTE)))
    assert.deepEqual(byKey(await stored('metrics_1h', id)), byKey(recount(items, HOUR)))
  })

  test('never puts an older count over a newer one', async () => {
    const id = take()
    const at = Math.floor(Date.now() / HOUR) * HOUR - HOUR
    const items = Array.from({ length: 20 }, (_, index) => ({
      type: 't',
      value: 1,
      timestamp: at + index * MINUTE,
    }))
    const late = { type: 't', value: 1, timestamp: at + 30 * MINUTE }
    await store(id, items)
    await countDirtyMinutes(database.db)
    // Somebody holds the rows of twenty minutes: a count that has read the raw values waits there.
    const holder = await database.db.transaction()
    await rows(database.db, 'SELECT 1 FROM metrics_1m WHERE controller_id = $id FOR UPDATE', { id }, holder)
    await store(id, [...items.map((item) => ({ ...item, timestamp: item.timestamp + 1 })), late])
    const waiting = countDirtyMinutes(database.db)
    await waitFor(async () => {
      const held = await rows(
        database.db,
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        {},
      )
      return held.length > 0
    })
    // Meanwhile the free minute gets one more value, and another counter comes by.
    await store(id, [{ ...late, timestamp: late.timestamp + 1 }])
    await countDirtyMinutes(database.db)
    await holder.commit()
    await waiting
    await countDirtyMinutes(database.db)
    const counts = byKey(await stored('metrics_1m', id)).map(([, { count }]) => count)
    assert.deepEqual(
      counts,
      Array.from({ length: 21 }, () => 2),
    )
  })

  test('answers the same before and after the rollups are counted', async () => {
    const id = take()
    const at = Math.floor(Date.now() / DAY) * DAY - DAY
    const items = Array.from({ length: 120 }, (_, index) => ({
      type: 'power',
      value: index % 7,
      timestamp: at + index * 55_000,
    }))
    await store(id, items.slice(0, 60))
    await countDirtyMinutes(database.db)
    await store(id, items.slice(60))
    const range = {
      type: 'power',
      from: new Date(at).toISOString(),
      to: new Date(at + 3 * HOUR).toISOString(),
    }
    const questions = ['1m', '15m', '1h', '1d'].flatMap((step) =>
      ['avg', 'min', 'max', 'sum', 'count', 'last'].map((aggregation) => ({ ...range, step, aggregation })),
    )
    const early = await Promise.all(questions.map((query) => ask(id, query)))
    await countDirtyMinutes(database.db)
    const late = await Promise.all(questions.map((query) => ask(id, query)))
    assert.deepEqual(early, late)
    const hours = recount(items, HOUR)
    const sums = early[questions.findIndex((q) => q.step === '1h' && q.aggregation === 'sum')]
    assert.deepEqual(
      sums?.series[0]?.points,
      byKey(hours).map(([t, { sum }]) => ({ t, v: sum })),
    )
    const averages = early[questions.findIndex((q) => q.step === '1h' && q.aggregation === 'avg')]
    assert.deepEqual(
      averages?.series[0]?.points,
      byKey(hours).map(([t, { sum, count }]) => ({ t, v: sum / count })),
    )
  })

  test('gives raw values of any kind in order, and only the types asked for', async () => {
    const id = take()
    const at = Date.now() - HOUR
    const values = [{ on: true }, 'x', 3, null, [1]]
    await store(
      id,
      values.flatMap((value, index) => [
        { type: 'state', value, timestamp: at + index },
        { type: 'other', value: 1, timestamp: at + index },
      ]),
    )
    const { series } = await ask(id, { type: ['state', 'missing'], step: 'raw' })
    assert.deepEqual(series, [
      { type: 'state', points: values.map((v, index) => ({ t: at + index, v })) },
      { type: 'missing', points: [] },
    ])
    const all = await ask(id, { step: 'raw' })
    assert.deepEqual(
      all.series.map(({ type }) => type),
      ['other', 'state'],
    )
  })

  test('U13: refuses a range with more points than an answer may hold, and names the step that fits', async () => {
    const id = take()
    const refused = async (query: object): Promise<AppError> => {
      try {
        await ask(id, query)
      } catch (error) {
        assert.ok(error instanceof AppError)
        return error
      }
      throw new Error('was answered')
    }
    const to = new Date().toISOString()
    const wide = await refused({ from: new Date(Date.now() - 30 * DAY).toISOString(), to, step: '1m' })
    assert.equal(wide.code, 'range_too_wide')
    assert.match(wide.detail ?? '', /step 15m/)
    const at = Date.now() - HOUR
    await store(
      id,
      Array.from({ length: 5_001 }, (_, index) => ({ type: 'fast', value: index, timestamp: at + index })),
    )
    assert.equal((await refused({ type: 'fast', step: 'raw' })).code, 'range_too_wide')
    const fits = await ask(id, { type: 'fast', step: 'raw', to: new Date(at + 4_999).toISOString() })
    assert.equal(fits.series[0]?.points.length, 5_000)
    const backwards = await refused({ from: to, to: new Date(Date.now() - DAY).toISOString() })
    assert.equal(backwards.code, 'validation_failed')
  })

  test('U13: refuses raw values that are too much text together', async () => {
    const id = take()
    const value = 'x'.repeat(2_000)
    const at = Date.now() - HOUR
    await store(
      id,
      Array.from({ length: 4_500 }, (_, index) => ({ type: 'fat', value, timestamp: at + index })),
    )
    await assert.rejects(ask(id, { step: 'raw' }), { code: 'range_too_wide' })
  })

  test('pages log lines newest first without losing or repeating one of the same moment', async () => {
    const id = take()
    const ingest = createIngest(
      { db: database.db, log: quietLog, clock },
      { partitions: createPartitions(database.db), live: silent },
    )
    const receivedAt = Date.now()
    const items = Array.from({ length: 95 }, (_, index) => ({
      level: 'info' as const,
      message: `line ${index}`,
    }))
    await ingest({ batches: [{ kind: 'log', controllerId: id, stream: 's', seq: 1, receivedAt, items }] })
    const read: string[] = []
    for (let cursor: string | undefined; ;) {
      const page = await service().logs(id, { limit: 10, ...(cursor ? { cursor } : {}) })
      read.push(...page.items.map(({ message }) => message))
      if (page.nextCursor === null) break
      cursor = page.nextCursor
    }
    assert.deepEqual(read, items.map(({ message }) => message).toReversed())
    await assert.rejects(service().logs(id, { limit: 10, cursor: 'nonsense' }), { code: 'validation_failed' })
  })

  test('finds log lines by level and above, by text as it is written, and by time', async () => {
    const id = take()
    const ingest = createIngest(
      { db: database.db, log: quietLog, clock },
      { partitions: createPartitions(database.db), live: silent },
    )
    const now = Date.now()
    const items = [
      { level: 'debug' as const, message: 'tick', timestamp: now - 3 * HOUR },
      { level: 'info' as const, message: '100% charged', timestamp: now - 2 * HOUR },
      { level: 'warn' as const, message: 'a_b', timestamp: now - HOUR },
      { level: 'error' as const, message: String.raw`path C:\Temp ПОЖАР`, timestamp: now },
    ]
    await ingest({
      batches: [{ kind: 'log', controllerId: id, stream: 's', seq: 1, receivedAt: now, items }],
    })
    const find = async (query: object): Promise<string[]> =>
      (await service().logs(id, { limit: 50, ...query })).items.map(({ message }) => message)
    assert.deepEqual(await find({ level: 'warn' }), [items[3]!.message, items[2]!.message])
    assert.deepEqual(await find({ text: '0%' }), ['100% charged'])
    assert.deepEqual(await find({ text: '%' }), ['100% charged'])
    assert.deepEqual(await find({ text: '_' }), ['a_b'])
    assert.deepEqual(await find({ text: String.raw`c:\t` }), [items[3]!.message])
    assert.deepEqual(await find({ text: 'пожар' }), [items[3]!.message])
    const range = { from: new Date(now - 2.5 * HOUR).toISOString(), to: new Date(now - HOUR).toISOString() }
    assert.deepEqual(await find(range), ['a_b', '100% charged'])
  })

  test('keeps what each tier keeps, and drops the days nobody keeps', async () => {
    const now = new Date()
    const partitions = createPartitions(database.db)
    const paid = {
      basic: await insertUser(database.db, { tier: 'basic' }),
      free: await insertUser(database.db),
    }
    const lapsed = await insertUser(database.db, { tier: 'premium' })
    await database.db.query('UPDATE users SET subscription_expires_at = $past WHERE id = $userId', {
      bind: { past: new Date(now.getTime() - DAY).toISOString(), userId: lapsed.userId },
    })
    const kept = { basic: 90, free: 7, lapsed: 7 }
    const ids: Record<string, string> = {}
    for (const [tier, owner] of Object.entries({ ...paid, lapsed })) {
      const [id] = await insertControllers(database.db, owner, 1)
      ids[tier] = id!
    }
    const ages = [1, 6, 8, 89, 91, 364, 400]
    const dayAt = (age: number): string => new Date(now.getTime() - age * DAY).toISOString()
    for (const table of ['metrics', 'logs'] as const)
      await partitions.ensure(
        table,
        ages.map((age) => dayAt(age).slice(0, 10)),
      )
    for (const id of Object.values(ids)) {
      for (const age of ages) {
        const bind = { id: uuidv7(), controller: id, at: dayAt(age) }
        await rows(database.db, `INSERT INTO metrics VALUES ($id, $controller, 't', '1', $at)`, bind)
        await rows(database.db, `INSERT INTO logs VALUES ($id, $controller, 'info', 'm', $at)`, bind)
        for (const table of ['metrics_1m', 'metrics_1h'])
          await rows(database.db, `INSERT INTO ${table} VALUES ($controller, 't', $at, 1, 1, 1, 1, 1, $at)`, {
            controller: id,
            at: bind.at,
          })
      }
    }
    const retention = createRetention({ db: database.db, partitions, limits: TIER_LIMITS })
    await retention.run(now)
    for (const [tier, days] of Object.entries(kept)) {
      for (const [table, column] of [
        ['metrics', '"timestamp"'],
        ['logs', '"timestamp"'],
        ['metrics_1m', 'bucket'],
        ['metrics_1h', 'bucket'],
      ]) {
        const left = await rows<{ at: Date }>(
          database.db,
          `SELECT ${column} AS at FROM ${table} WHERE controller_id = $id ORDER BY 1 DESC`,
          { id: ids[tier] },
        )
        assert.deepEqual(
          left.map(({ at }) => at.toISOString()),
          ages.filter((age) => age < days).map(dayAt),
          `${tier} ${table}`,
        )
      }
    }
    const old = `metrics_${dayAt(400).slice(0, 10).replaceAll('-', '')}`
    assert.ok(!(await partitionsOf(database.db, 'metrics')).includes(old))
    assert.deepEqual(await retention.run(now), { partitionsDropped: 0, rowsDeleted: 0 })
  })

  test('takes longer than a request may when there is much to delete', async () => {
    const [id] = await insertControllers(database.db, await insertUser(database.db), 1)
    const now = new Date()
    const at = new Date(now.getTime() - 8 * DAY).toISOString()
    const partitions = createPartitions(database.db)
    await partitions.ensure('metrics', [at.slice(0, 10)])
    const insert = `INSERT INTO metrics VALUES ($id, $controller, 't', '1', $at)`
    await rows(database.db, insert, { id: uuidv7(), controller: id, at })
    const impatient = createDatabase({
      url: database.url,
      poolMax: 2,
      log: quietLog,
      statementTimeoutMs: 500,
    })
    const blocker = await database.db.transaction()
    const text = 'SELECT 1 FROM metrics WHERE controller_id = $id AND "timestamp" = $at FOR UPDATE'
    await rows(database.db, text, { id, at }, blocker)
    const release = setTimeout(() => void blocker.commit(), 1_500)
    try {
      const retention = createRetention({ db: impatient, partitions, limits: TIER_LIMITS })
      assert.equal((await retention.run(now)).rowsDeleted, 1)
    } finally {
      clearTimeout(release)
      await impatient.close()
    }
  })
})
