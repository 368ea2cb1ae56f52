import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { openStore } from '@wmoc/platform/open-store'
import { testRedis } from '@wmoc/testkit/redis'
import type { TestRedis } from '@wmoc/testkit/redis'
import { quietLog } from '#src/testing/plain-rows.ts'
import { createRateLimiter } from './rate-limit.ts'

suite('rate limits', () => {
  let redis: TestRedis
  let nowMs = 1_000_000
  const clock = () => new Date(nowMs)
  const rule = { burst: 8, count: 60, periodMs: 60_000 }
  before(async () => {
    redis = await testRedis()
  })
  after(() => redis.stop())

  test('count over all processes through the store', async () => {
    const stores = ['a', 'b'].map((name) => openStore({ url: redis.url, log: quietLog, name }))
    const limiters = stores.map((store) => createRateLimiter(store, quietLog, clock))
    let passed = 0
    for (let n = 0; n < 10; n += 1) {
      for (const limiter of limiters) passed += (await limiter.take('shared', rule)).allowed ? 1 : 0
    }
    assert.ok(passed >= 8 && passed <= 9, `${passed} passed`)
    await Promise.all(stores.map((store) => store.close()))
  })

  test('never open while the store is away: each process lets a quarter through, and refills', async () => {
    const gone = await testRedis()
    const store = openStore({ url: gone.url, log: quietLog, name: 'c' })
    await store.ping()
    await gone.stop()
    const limiter = createRateLimiter(store, quietLog, clock)
    const take = async (times: number) => {
      const results = []
      for (let n = 0; n < times; n += 1) results.push((await limiter.take('login', rule)).allowed)
      return results.filter(Boolean).length
    }
    assert.equal(await take(20), 2)
    nowMs += 4_000
    assert.equal(await take(20), 1)
    await assert.rejects(limiter.require('login', rule), { code: 'rate_limited' })
    await store.close()
  })
})
