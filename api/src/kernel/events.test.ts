import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { uuidv7 } from '@wmoc/platform/ids'
import { createMetrics } from '@wmoc/platform/metrics'
import { openStore } from '@wmoc/platform/open-store'
import type { Store } from '@wmoc/platform/store'
import { testRedis } from '@wmoc/testkit/redis'
import type { TestRedis } from '@wmoc/testkit/redis'
import { openMigratedDatabase, quietLog } from '#src/testing/plain-rows.ts'
import type { PlainDatabase } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { formatCursor, latestCursor, parseCursor, readEvents } from './event-reader.ts'
import { createEventBus } from './events.ts'
import { firstRow, rows } from './rows.ts'

const workspaceId = uuidv7()
const updated = (controllerId: string) => ({ type: 'controller.updated', workspaceId, controllerId }) as const

suite('domain events', () => {
  let database: PlainDatabase
  let redis: TestRedis
  let store: Store
  let skewMs = 0
  before(async () => {
    ;[database, redis] = await Promise.all([openMigratedDatabase({ poolMax: 20 }), testRedis()])
    store = openStore({ url: redis.url, log: quietLog, name: 'test' })
  })
  after(async () => {
    await store.close()
    await redis.stop()
    await database.close()
  })

  const bus = () =>
    createEventBus({
      db: database.db,
      store,
      log: quietLog,
      clock: () => new Date(Date.now() + skewMs),
      metrics: createMetrics('test'),
    })
  const emit = (controllerId: string, from = bus()) =>
    database.db.transaction((transaction) => from.emit(updated(controllerId), transaction))

  test('an event of a transaction that rolls back was never there', async () => {
    const { db } = database
    const cursor = await latestCursor(db)
    await assert.rejects(
      db.transaction(async (transaction) => {
        await bus().emit(updated(uuidv7()), transaction)
        throw new Error('no')
      }),
    )
    assert.deepEqual((await readEvents(db, cursor, 10)).events, [])
  })

  test('F13: what commits late is not skipped: 200 transactions that end in any order arrive once each', async () => {
    const { db } = database
    const own = bus()
    let cursor = await latestCursor(db)
    const seen: string[] = []
    const writers = Array.from({ length: 200 }, async (_, n) => {
      const id = uuidv7()
      await db.transaction(async (transaction) => {
        await own.emit(updated(id), transaction)
        await new Promise((resolve) => setTimeout(resolve, (n * 7919) % 50))
      })
      return id
    })
    const done = Promise.all(writers)
    let isOver = false
    void done.then(() => (isOver = true))
    for (let rest = 3; rest > 0;) {
      const page = await readEvents(db, cursor, 7)
      cursor = parseCursor(formatCursor(page.cursor)) ?? cursor
      seen.push(...page.events.map(({ event }) => ('controllerId' in event ? event.controllerId : '')))
      if (page.events.length === 0 && isOver) rest -= 1
    }
    const sent = await done
    assert.equal(seen.length, 200)
    assert.deepEqual(seen.toSorted(), sent.toSorted())
  })

  test('events of one aggregate arrive in the order of their commits, whatever got its transaction id first', async () => {
    const { db } = database
    const own = bus()
    const cursor = await latestCursor(db)
    const [first, second] = [uuidv7(), uuidv7()]
    // The second writer has the older transaction id, yet emits after the first has committed.
    await db.transaction(async (slow) => {
      await rows(db, 'SELECT pg_current_xact_id()', {}, slow)
      await emit(first, own)
      await own.emit(updated(second), slow)
    })
    const { events } = await readEvents(db, cursor, 10)
    assert.deepEqual(
      events.map(({ event }) => ('controllerId' in event ? event.controllerId : '')),
      [first, second],
    )
  })

  test('a handler and its cursor commit together: one that fails half-way is run again from the start', async () => {
    const { db } = database
    const own = bus()
    const name = `half-way ${uuidv7()}`
    await rows(db, 'CREATE TABLE IF NOT EXISTS effects (event text)', {})
    let fails = 1
    const wanted = uuidv7()
    own.subscribe(name, ['controller.updated'], async (event, transaction) => {
      if (event.controllerId !== wanted) return
      await rows(db, 'INSERT INTO effects VALUES ($id)', { id: event.id }, transaction)
      fails -= 1
      if (fails === 0) throw new Error('crashed after the effect')
    })
    await own.startDispatcher()
    await emit(wanted, own)
    await waitFor(async () => (await count(db, 'effects')) === 1)
    await own.stopDispatcher()
    assert.equal(fails, -1)
  })

  test('a poison event is parked after five tries and those behind it go on', async () => {
    const { db } = database
    const own = bus()
    const name = `poisoned ${uuidv7()}`
    const [poison, next] = [uuidv7(), uuidv7()]
    const handled: string[] = []
    let tries = 0
    own.subscribe(name, ['controller.updated'], async (event) => {
      if (event.controllerId === poison) {
        tries += 1
        throw new Error('cannot')
      }
      handled.push(event.controllerId)
    })
    await emit(poison, own)
    await emit(next, own)
    await own.startDispatcher()
    await waitFor(() => {
      skewMs += 2_000
      return handled.includes(next)
    }, 20_000)
    await own.stopDispatcher()
    const row = await firstRow<{ n: number }>(
      db,
      'SELECT count(*)::int AS n FROM parked_events WHERE subscriber = $name',
      { name },
    )
    assert.equal(row?.n, 1)
    assert.ok(tries >= 5)
  })

  test('of two workers one delivers to a subscriber at a time', async () => {
    const name = `shared ${uuidv7()}`
    const wanted = new Set(Array.from({ length: 50 }, () => uuidv7()))
    const handled: string[] = []
    const workers = [bus(), bus()]
    for (const worker of workers) {
      worker.subscribe(name, ['controller.updated'], async (event) => {
        if (wanted.has(event.controllerId)) handled.push(event.controllerId)
      })
    }
    await Promise.all(workers.map((worker) => worker.startDispatcher()))
    await Promise.all([...wanted].map((id) => emit(id, workers[0])))
    await waitFor(() => handled.length >= 50)
    await Promise.all(workers.map((worker) => worker.stopDispatcher()))
    assert.deepEqual(handled.toSorted(), [...wanted].toSorted())
  })

  test('purges only what every subscriber has had', async () => {
    const { db } = database
    const own = bus()
    await emit(uuidv7(), own)
    const future = new Date(Date.now() + 60_000)
    await rows(
      db,
      `UPDATE event_cursors SET from_xid = '0', to_xid = '0', position = 0 WHERE subscriber LIKE 'shared%'`,
      {},
    )
    assert.equal(await own.purge(future), 0)
    await rows(db, 'DELETE FROM event_cursors', {})
    assert.ok((await own.purge(future)) > 0)
  })

  test('a cursor made up by a client is refused', () => {
    for (const text of ['', 'x', '1-2', '1-2-3-4', '-1-2-3', 'zzzzzzzzzzzzz-1-1', "1'-2-3"]) {
      assert.equal(parseCursor(text), null, text)
    }
  })
})

async function count(db: PlainDatabase['db'], table: string): Promise<number> {
  const row = await firstRow<{ n: number }>(db, `SELECT count(*)::int AS n FROM ${table}`, {})
  return row?.n ?? 0
}
