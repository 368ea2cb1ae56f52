/** The fencing of tunnels as a model: shards, a store that forgets, fails over and has a clock that jumps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createEmbeddedStoreCore } from './embedded-store.ts'

const ID = 'controller'
const TTL_MS = 3_600_000 * 24
const SHARDS = ['a', 'b', 'c'] as const

type Step =
  | { do: 'claim' | 'renew' | 'release'; shard: (typeof SHARDS)[number] }
  | { do: 'flush' | 'snapshot' | 'failover' }
  | { do: 'clock'; byMs: number }

const anyShard = fc.constantFrom(...SHARDS)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('claim' as const), shard: anyShard }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('renew' as const), shard: anyShard }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), shard: anyShard }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('flush' as const, 'snapshot' as const, 'failover' as const) }),
  },
  // Few values, so that a clock gone back meets an epoch of before.
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('clock' as const),
      byMs: fc.constantFrom(-3_600_000, -1, 1, 3_600_000),
    }),
  },
)

/** The world: one controller, at most one socket a shard, each with the epoch it was given. */
function world() {
  let now = 10_000_000_000
  let core = createEmbeddedStoreCore(() => now)
  let snapshot: { shard: string; epoch: number } | null = null
  const sockets = new Map<string, number>()

  const renew = (shard: string) => {
    const epoch = sockets.get(shard)
    if (epoch === undefined) return
    const [holds] = core.renewPresence(shard, [{ controllerId: ID, epoch }], TTL_MS)
    if (holds !== true) sockets.delete(shard)
  }
  return {
    sockets,
    presence: () => core.getPresence([ID])[0] ?? null,
    renew,
    run(action: Step): void {
      switch (action.do) {
        case 'claim': {
          const known = sockets.get(action.shard) ?? 0
          const { epoch } = core.claimPresence(ID, { shard: action.shard, atLeast: known + 1, ttlMs: TTL_MS })
          assert.ok(epoch > known, 'a shard never gets an epoch that it has had')
          sockets.set(action.shard, epoch)
          break
        }
        case 'renew':
          renew(action.shard)
          break
        case 'release': {
          const epoch = sockets.get(action.shard)
          if (epoch !== undefined) core.releasePresence(ID, epoch)
          sockets.delete(action.shard)
          break
        }
        case 'flush':
          core = createEmbeddedStoreCore(() => now)
          break
        case 'snapshot':
          snapshot = core.getPresence([ID])[0] ?? null
          break
        case 'failover':
          core = createEmbeddedStoreCore(() => now)
          if (snapshot)
            core.renewPresence(snapshot.shard, [{ controllerId: ID, epoch: snapshot.epoch }], TTL_MS)
          break
        case 'clock':
          now += action.byMs
      }
    },
  }
}

test('leaves one holder, the one written down, once every shard has renewed: through flushes, failovers and clocks that jump', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const it = world()
      for (const action of steps) it.run(action)
      // A second round: the first may have restored an entry after its rival had asked.
      for (const shard of [...SHARDS, ...SHARDS]) it.renew(shard)
      assert.ok(it.sockets.size <= 1, `several hold it: ${JSON.stringify([...it.sockets])}`)
      for (const [shard, epoch] of it.sockets)
        assert.deepEqual(it.presence(), { shard, epoch, isMoving: false })
    }),
    { numRuns: 2_000 },
  )
})

test('hands out epochs that only grow while the store forgets nothing, however its clock jumps', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const it = world()
      let highest = 0
      for (const action of steps) {
        if (action.do === 'flush' || action.do === 'failover' || action.do === 'release') continue
        it.run(action)
        if (action.do !== 'claim') continue
        const epoch = it.sockets.get(action.shard)!
        assert.ok(epoch > highest)
        highest = epoch
      }
    }),
    { numRuns: 1_000 },
  )
})
