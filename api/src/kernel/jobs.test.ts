import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { z } from 'zod'
import { createMetrics } from '@wmoc/platform/metrics'
import { openMigratedDatabase, quietLog } from '#src/testing/plain-rows.ts'
import type { PlainDatabase } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { createJobQueue, installJobs } from './jobs.ts'
import type { JobQueueWithWorkers } from './jobs.ts'

suite('jobs', () => {
  let database: PlainDatabase
  let queues: JobQueueWithWorkers[]
  const done: string[] = []
  let failures = 0
  let running = 0
  let ticks = 0
  let overlaps = 0
  before(async () => {
    database = await openMigratedDatabase()
    await installJobs(database.url)
    queues = [1, 2].map(() =>
      createJobQueue({
        databaseUrl: database.url,
        db: database.db,
        log: quietLog,
        metrics: createMetrics('test'),
      }),
    )
    for (const queue of queues) {
      queue.handle('test.note', z.object({ text: z.string() }), async ({ text }) => {
        if (text === 'fails once' && failures === 0) {
          failures += 1
          throw new Error('not yet')
        }
        done.push(text)
      })
      queue.every('test.tick', 20, async () => {
        running += 1
        if (running > 1) overlaps += 1
        await new Promise((resolve) => setTimeout(resolve, 10))
        running -= 1
        ticks += 1
      })
    }
    await queues[0]?.start({ work: true })
    await queues[1]?.start({ work: true })
  })
  after(async () => {
    await Promise.all(queues.map((queue) => queue.stop()))
    await database.close()
  })
  const enqueue = (text: string, options: Parameters<JobQueueWithWorkers['enqueue']>[2] = {}) =>
    queues[0]?.enqueue('test.note', { text }, options)

  test('exist exactly when their transaction commits', async () => {
    const { db } = database
    await assert.rejects(
      db.transaction(async (transaction) => {
        await enqueue('never', { transaction })
        throw new Error('no')
      }),
    )
    await db.transaction((transaction) => enqueue('committed', { transaction }) ?? Promise.resolve())
    await waitFor(() => done.includes('committed'))
    assert.ok(!done.includes('never'))
  })

  test('are tried again after a failure', async () => {
    await enqueue('fails once')
    await waitFor(() => done.includes('fails once'), 20_000)
    assert.equal(failures, 1)
  })

  test('of one key wait once, and of none each', async () => {
    const startAfter = new Date(Date.now() + 1_000)
    for (let n = 0; n < 5; n += 1) {
      await enqueue('keyed', { singletonKey: 'k', startAfter })
      await enqueue('free', { startAfter })
    }
    await waitFor(() => done.filter((text) => text === 'free').length === 5, 20_000)
    await waitFor(() => done.includes('keyed'))
    assert.equal(done.filter((text) => text === 'keyed').length, 1)
  })

  test('of an interval run one at a time over all workers', async () => {
    await waitFor(() => ticks > 10)
    assert.equal(overlaps, 0)
  })

  test('refuse a name that nobody handles', async () => {
    await assert.rejects(queues[0]!.enqueue('test.unknown', {}, {}), /no job is called/)
  })
})
