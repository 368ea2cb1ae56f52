import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createRing } from './ring.ts'

/** The same ids in every run. */
const IDS = Array.from({ length: 200_000 }, (_, at) =>
  createHash('sha256').update(`id ${at}`).digest('hex').slice(0, 36),
)
const shardsOf = (count: number, weight = 1) =>
  Array.from({ length: count }, (_, at) => ({ shard: `gateway-${at}`, weight }))

const anyShards = fc.uniqueArray(
  fc.record({
    shard: fc.string({ minLength: 1, maxLength: 64 }),
    weight: fc.double({ min: 0.1, max: 4, noNaN: true }),
  }),
  { minLength: 1, maxLength: 12, selector: (entry) => entry.shard },
)

suite('ring', () => {
  for (const count of [2, 3, 5, 16, 64]) {
    test(`${count} shards of one weight own between 0.95 and 1.05 times the mean`, () => {
      const ring = createRing(shardsOf(count), 1)
      for (const shard of ring.shards) {
        const ratio = ring.ownershipOf(shard) * count
        assert.ok(ratio > 0.95 && ratio < 1.05, `${shard}: ${ratio}`)
      }
    })
  }

  test('F12: a shard that joins takes its share and nothing else moves; when it leaves, all of it comes back', () => {
    for (const count of [2, 3, 8, 31]) {
      const before = createRing(shardsOf(count), 1)
      const after = createRing(shardsOf(count + 1), 2)
      let moved = 0
      for (const id of IDS) {
        if (before.ownerOf(id) === after.ownerOf(id)) continue
        moved += 1
        assert.equal(after.ownerOf(id), `gateway-${count}`)
      }
      assert.ok(moved / IDS.length <= 1.05 / (count + 1), `${moved} of ${IDS.length} at ${count}`)
    }
  })

  test('spreads the controllers: max/mean is at most 1.10', () => {
    const ring = createRing(shardsOf(16), 1)
    const counts = new Map<string | null, number>()
    for (const id of IDS) counts.set(ring.ownerOf(id), (counts.get(ring.ownerOf(id)) ?? 0) + 1)
    assert.equal(counts.size, 16)
    assert.ok((Math.max(...counts.values()) * 16) / IDS.length <= 1.1)
  })

  test('is the same from any order of the same shards, and owns every controller', () => {
    fc.assert(
      fc.property(anyShards, fc.array(fc.string(), { maxLength: 50 }), (shards, ids) => {
        const one = createRing(shards, 1)
        const other = createRing(shards.toReversed(), 1)
        for (const id of ids) {
          assert.equal(one.ownerOf(id), other.ownerOf(id))
          assert.ok(one.shards.includes(one.ownerOf(id)!))
        }
        const total = one.shards.reduce((sum, shard) => sum + one.ownershipOf(shard), 0)
        assert.ok(Math.abs(total - 1) < 1e-6)
      }),
      { numRuns: 60 },
    )
  })

  test('no shard owns more than 1.05 times what its weight says, whatever the names and weights', () => {
    fc.assert(
      fc.property(anyShards, (shards) => {
        const ring = createRing(shards, 1)
        const total = shards.reduce((sum, { weight }) => sum + weight, 0)
        for (const { shard, weight } of shards) {
          assert.ok(ring.ownershipOf(shard) <= (1.05 * weight) / total + 1e-6, `${shard} ${weight}`)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('what is said of a share is what lookups show', () => {
    const ring = createRing(
      [
        { shard: 'small', weight: 0.5 },
        { shard: 'big', weight: 2 },
        { shard: 'normal', weight: 1 },
      ],
      1,
    )
    for (const shard of ring.shards) {
      const owned = IDS.filter((id) => ring.ownerOf(id) === shard).length
      assert.ok(Math.abs(owned / IDS.length - ring.ownershipOf(shard)) < 0.005)
    }
  })

  test('of two shards with one name the first counts, nobody owns anything on an empty ring', () => {
    const twice = createRing([...shardsOf(2), { shard: 'gateway-0', weight: 50 }], 7)
    assert.deepEqual([twice.shards, twice.epoch], [['gateway-0', 'gateway-1'], 7])
    assert.ok(twice.ownershipOf('gateway-0') < 0.55)
    const empty = createRing([], 1)
    assert.equal(empty.ownerOf('x'), null)
    assert.equal(empty.ownershipOf('x'), 0)
  })

  test('many heavy shards make a ring of bounded size', () => {
    const ring = createRing(shardsOf(64, 100), 1)
    for (const shard of ring.shards) assert.ok(Math.abs(ring.ownershipOf(shard) * 64 - 1) < 0.05)
  })

  test('stays what it is from version to version: shards of two versions must agree during an update', () => {
    const ring = createRing(shardsOf(5), 1)
    assert.equal(
      IDS.slice(0, 40)
        .map((id) => ring.ownerOf(id)!.at(-1))
        .join(''),
      '0311010114042142120102112430242224444310',
    )
  })
})
