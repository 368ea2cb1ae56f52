import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEmbeddedStoreCore } from './core/embedded-store.ts'
import { appError } from './errors.ts'
import { createLimiter } from './limiter.ts'

const rule = { burst: 8, count: 60, periodMs: 60_000 }

test('counts in the store while it is there, and by its own share while it is away', async () => {
  let now = 1_000_000
  let isAway = false
  const core = createEmbeddedStoreCore(() => now)
  const store = {
    limit: async (key: string, asked: typeof rule, cost = 1) => {
      if (isAway) throw appError('dependency_unavailable')
      return core.limit(key, asked, cost)
    },
  }
  const limiter = createLimiter({ store, processes: 4, now: () => now })
  const allowed = async (tries: number) => {
    let count = 0
    for (let i = 0; i < tries; i++) if ((await limiter.take('a', rule)).allowed) count++
    return count
  }
  assert.equal(await allowed(20), 8)
  isAway = true
  assert.equal(await allowed(20), 2)
  now += 4_000
  assert.equal(await allowed(20), 1)
  isAway = false
  assert.equal(await allowed(20), 4)
})

test('lets at least one through at a time when the share is less than one', async () => {
  const store = { limit: () => Promise.reject(appError('dependency_unavailable')) }
  const limiter = createLimiter({ store, processes: 100, now: () => 1_000_000 })
  assert.equal((await limiter.take('a', rule)).allowed, true)
  assert.equal((await limiter.take('a', rule)).allowed, false)
})

test('hides no failure other than an outage', async () => {
  const store = { limit: () => Promise.reject(new Error('a bug')) }
  await assert.rejects(createLimiter({ store, processes: 1 }).take('a', rule), /a bug/)
})
