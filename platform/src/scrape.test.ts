import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { createMetrics } from './metrics.ts'
import { readOnScrape } from './scrape.ts'
import type { Sample } from './scrape.ts'

suite('a gauge that is read when somebody scrapes', () => {
  function watched(read: () => Promise<readonly Sample<'kind'>[]>, everyMs = 0) {
    const metrics = createMetrics('test')
    readOnScrape(metrics.gauge('wmoc_test_things', 'Things.', ['kind']), read, { everyMs, timeoutMs: 50 })
    const lines = async () => (await metrics.registry.metrics()).match(/^wmoc_test_things.*/gm)
    return { metrics, lines }
  }

  test('shows what was read last, and forgets labels that are gone', async () => {
    let kinds = ['a', 'b']
    const { lines } = watched(() => Promise.resolve(kinds.map((kind) => ({ labels: { kind }, value: 2 }))))
    assert.deepEqual(await lines(), ['wmoc_test_things{kind="a"} 2', 'wmoc_test_things{kind="b"} 2'])
    kinds = ['b']
    assert.deepEqual(await lines(), ['wmoc_test_things{kind="b"} 2'])
  })

  test('is read once for scrapes that come close together', async () => {
    let reads = 0
    const { lines } = watched(() => {
      reads += 1
      return Promise.resolve([{ labels: { kind: 'a' }, value: reads }])
    }, 60_000)
    await Promise.all([lines(), lines()])
    assert.deepEqual(await lines(), ['wmoc_test_things{kind="a"} 1'])
    assert.equal(reads, 1)
  })

  test('shows nothing, and holds up no scrape, while it can’t be read', async () => {
    for (const read of [() => Promise.reject(new Error('away')), () => new Promise<never>(() => {})]) {
      const { lines, metrics } = watched(read)
      assert.equal(await lines(), null)
      assert.match(await metrics.registry.metrics(), /^wmoc_build_info\{.*version="\d/m)
    }
  })

  test('shows nothing without labels either, not even a zero', async () => {
    const metrics = createMetrics('test')
    let samples: Sample<never>[] = []
    const gauge = metrics.gauge('wmoc_test_age_seconds', 'Age.')
    readOnScrape(gauge, () => Promise.resolve(samples), { everyMs: 0 })
    assert.doesNotMatch(await metrics.registry.metrics(), /^wmoc_test_age/m)
    samples = [{ labels: {}, value: 7 }]
    assert.match(await metrics.registry.metrics(), /^wmoc_test_age_seconds 7$/m)
  })
})
