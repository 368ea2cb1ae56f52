import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import type { Store } from '@wmoc/platform/store'
import { testRedis } from '@wmoc/testkit/redis'
import type { TestRedis } from '@wmoc/testkit/redis'
import { redisCommand } from '#src/testing/cluster.ts'
import { until } from '#src/testing/harness.ts'
import { createPageStates } from './page-states.ts'

suite('what shards know of pages in frames', () => {
  let redis: TestRedis
  let store: Store
  before(async () => {
    redis = await testRedis()
    store = openStore({
      url: redis.url,
      log: createLogger({ process: 'gateway', level: 'silent' }),
      name: 'test',
    })
  })
  after(async () => {
    await store.close()
    await redis.stop()
  })

  /** A shard that looks each time. */
  const shard = () => createPageStates(store, { maxAgeMs: 3_600_000, freshMs: 0, doubtedMs: 0 })
  const soon = () => Date.now() + 600_000

  test('what one renews the others see', async () => {
    const [one, other] = [shard(), shard()]
    const untilMs = soon()
    await one.renew('a', untilMs)
    assert.equal((await other.of('a')).renewedUntil, untilMs)
    assert.equal((await other.of('b')).renewedUntil, 0)
  })

  test('what was read lately is not asked for again, unless it is doubted', async () => {
    const patient = createPageStates(store, { maxAgeMs: 3_600_000, doubtedMs: 0 })
    assert.equal((await patient.of('c')).renewedUntil, 0)
    const untilMs = soon()
    await shard().renew('c', untilMs)
    assert.equal((await patient.of('c')).renewedUntil, 0)
    assert.equal((await patient.of('c', true)).renewedUntil, untilMs)
  })

  test('one that was closed stays so, whoever renews it', async () => {
    const [one, other] = [shard(), shard()]
    await one.revoke('d')
    await other.renew('d', soon())
    for (const states of [one, other, shard()]) assert.equal((await states.of('d')).isRevoked, true)
    const told = shard()
    told.noteRevoked('e')
    assert.equal((await told.of('e')).isRevoked, true)
  })

  test('F3: what the store has lost, a shard that knows it puts back', async () => {
    const [one, other] = [shard(), shard()]
    const untilMs = soon()
    await one.renew('f', untilMs)
    await redisCommand(redis.port, 'FLUSHALL')
    assert.equal((await one.of('f')).renewedUntil, untilMs)
    await until(async () => (await other.of('f')).renewedUntil === untilMs)
  })

  test('F2: while the store is away, what was known holds, and a page is closed here at least', async () => {
    const gone = openStore({
      url: redis.url,
      log: createLogger({ process: 'gateway', level: 'silent' }),
      name: 'gone',
    })
    const states = createPageStates(gone, { maxAgeMs: 3_600_000, freshMs: 0, doubtedMs: 0 })
    const untilMs = soon()
    await states.renew('g', untilMs)
    await gone.close()
    assert.equal((await states.of('g')).renewedUntil, untilMs)
    await assert.rejects(states.renew('g', untilMs + 1))
    await assert.rejects(states.revoke('g'))
    assert.equal((await states.of('g')).isRevoked, true)
  })
})
