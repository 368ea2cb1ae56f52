import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controllerIds, measureBalance } from './balance.ts'
import { simulateDeparture } from './departure.ts'
import { DRAIN_WINDOW_MS, RULES, STORMS } from './plans.ts'
import { storeLoad } from './store-load.ts'
import { simulateStorm } from './storm.ts'

test('the ring keeps its promises at 64 shards: balance, movement, nothing in vain', () => {
  const balance = measureBalance(controllerIds(200_000), 64)
  assert.ok(balance.maxToMean <= 1.1)
  assert.ok(balance.movedByJoin <= 1.05)
  assert.ok(balance.movedByLeave <= 1.1)
  assert.equal(balance.movedInVain, 0)
})

test('F5, F6: everybody is back within 30 s after a shard was killed, at the rate that shards allow', () => {
  for (const plan of STORMS.filter(({ devices }) => devices < 100_000)) {
    const storm = simulateStorm(plan)
    assert.ok(storm.p99Ms <= 10_000, `${storm.p99Ms}`)
    assert.ok(storm.lastMs <= 30_000, `${storm.lastMs}`)
    const { burst, count } = RULES.registrations
    assert.ok(storm.peakRegistrationsPerSecond <= plan.shards * (burst + count))
  }
})

test('F6: 100,000 at once are let in in order, with few tries', () => {
  const storm = simulateStorm({ ...STORMS[0]!, name: 'herd', devices: 100_000, shards: 10, tunnelsBefore: 0 })
  // 20,000 at once, the others at 5,000 a second.
  assert.ok(storm.lastMs <= 20_000, `${storm.lastMs}`)
  assert.ok(storm.triesMean <= 2)
})

test('a shard that drains sends its tunnels away at an even rate', () => {
  const departure = simulateDeparture(10_000, 0.5, DRAIN_WINDOW_MS)
  assert.ok(departure.toldWithinMs <= DRAIN_WINDOW_MS)
  assert.ok(departure.peakArrivalsPerSecond <= 2 * (10_000 / (DRAIN_WINDOW_MS / 1_000)))
})

test('the store renews few entries because leases say who lives', () => {
  const load = storeLoad(1_000_000, 64, 1_000)
  assert.ok(load.renewedEntries * 4 < load.entriesWithoutLeases)
  assert.equal(load.leaseCalls, 128)
})
