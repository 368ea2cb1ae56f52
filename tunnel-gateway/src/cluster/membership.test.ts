import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import { testRedis } from '@wmoc/testkit/redis'
import { redisCommand, startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import { until } from '#src/testing/harness.ts'
import { createRing } from '#src/core/ring.ts'
import { ringFingerprint } from './metrics.ts'

const log = createLogger({ process: 'test', level: 'silent' })
const THREE = ['gateway-0', 'gateway-1', 'gateway-2']

suite('membership', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster(3)
  })
  after(() => cluster.stop())

  const ring = (at: number) => cluster.shards[at]!.gateway.membership.ring()

  test('F12: every shard has the same ring, and shows it', async () => {
    const id = cluster.controlPlane.addController().record.controllerId
    assert.equal(new Set([0, 1, 2].map((at) => ring(at).ownerOf(id))).size, 1)
    const status = (await cluster.shards[1]!.status()) as {
      shard: string
      state: string
      ring: { members: { shard: string; state: string; ownership: number }[] }
      invariants: string[]
    }
    assert.equal(status.shard, 'gateway-1')
    assert.equal(status.state, 'serving')
    assert.deepEqual(status.ring.members.map((member) => member.shard).toSorted(), THREE)
    const owned = status.ring.members.reduce((sum, member) => sum + member.ownership, 0)
    assert.ok(Math.abs(owned - 1) < 0.001)
    assert.deepEqual(status.invariants, [])
    const metrics = await cluster.shards[2]!.metrics()
    assert.match(metrics, /wmoc_gateway_ring_members 3/)
    assert.match(metrics, /wmoc_gateway_ring_ownership_ratio 0\.3/)
    const fingerprints = await Promise.all(
      cluster.shards.map(
        async (shard) => /^wmoc_gateway_ring_fingerprint (\d+)$/m.exec(await shard.metrics())?.[1],
      ),
    )
    assert.equal(new Set(fingerprints).size, 1)
    const shares = (weight: number) =>
      createRing([...THREE.map((shard) => ({ shard, weight: 1 })), { shard: 'gateway-3', weight }], 1)
    assert.equal(
      ringFingerprint(
        createRing(
          THREE.map((shard) => ({ shard, weight: 1 })),
          9,
        ),
      ),
      Number(fingerprints[0]),
    )
    assert.notEqual(ringFingerprint(shares(1)), Number(fingerprints[0]))
    assert.notEqual(ringFingerprint(shares(1)), ringFingerprint(shares(2)))
  })

  test('F11: duplicate, broken and unknown messages change nothing', async () => {
    const store = openStore({ url: cluster.redis.url, log, name: 'test' })
    const epoch = ring(0).epoch
    for (let count = 0; count < 300; count++) {
      await store.publish('wmoc:gateways', JSON.stringify({ kind: 'changed', instance: 'nobody' }))
      await store.publish('wmoc:gateways', JSON.stringify({ kind: 'left', instance: 'nobody' }))
      await store.publish('wmoc:gateways', count % 2 === 0 ? '{' : '"left"')
    }
    await store.keepLease('gateways', { id: 'broken', value: 'no JSON' }, 3_000)
    await store.keepLease('gateways', { id: 'other', value: '{"shard":"gateway-9"}' }, 3_000)
    const beats = async () => (await store.leases('gateways')).map((lease) => lease.value).join()
    const written = await beats()
    await until(async () => (await beats()) !== written)
    assert.equal(ring(0).epoch, epoch)
    assert.deepEqual(ring(0).shards, THREE)
    await store.close()
  })

  test('F3, F11: after a flush nobody is taken off the ring; a lost message costs one period at most', async () => {
    const store = openStore({ url: cluster.redis.url, log, name: 'test' })
    const epochs = [0, 1, 2].map((at) => ring(at).epoch)
    const changes: string[] = []
    const ends = cluster.shards.map(({ gateway }) =>
      gateway.membership.onChange(() => changes.push(gateway.membership.self.shard)),
    )
    for (let round = 0; round < 3; round++) {
      await redisCommand(cluster.redis.port, 'FLUSHALL')
      await until(async () => (await store.leases('gateways')).length === 3)
    }
    assert.deepEqual(changes, [])
    assert.deepEqual(
      [0, 1, 2].map((at) => ring(at).epoch),
      epochs,
    )
    for (const end of ends) end()
    // Joins without a word: the others read its lease by themselves.
    await store.keepLease(
      'gateways',
      {
        id: 'silent@1',
        value: JSON.stringify({
          shard: 'silent',
          instance: 'silent@1',
          peerAddress: '127.0.0.1:1',
          weight: 1,
          state: 'serving',
          beat: 1,
          startedAtMs: Date.now() + 3_600_000,
        }),
      },
      1_500,
    )
    await cluster.settled([...THREE, 'silent'])
    // And falls silent.
    await cluster.settled(THREE)
    await store.close()
  })

  test('of two instances of one shard the one that serves has the place, and the younger of two that serve', async () => {
    const twin = await cluster.add('gateway-1')
    const members = () => cluster.shards[0]!.gateway.membership
    await until(() => members().find('gateway-1')?.instance === twin.gateway.membership.self.instance)
    assert.equal(members().members().length, 4)
    assert.deepEqual(ring(0).shards, THREE)
    await twin.gateway.membership.leaveRing()
    const first = cluster.shards[1]!.gateway.membership.self.instance
    await until(() => members().find('gateway-1')?.instance === first)
    assert.equal(members().find(twin.gateway.membership.self.instance)?.state, 'draining')
    assert.deepEqual(ring(0).shards, THREE)
    await twin.stop()
    await until(() => members().members().length === 3)
  })

  test('F2: while the store is away the last ring stays in force, and a shard that joined late is seen after', async () => {
    const lonely = await startCluster(2)
    const { redis } = lonely
    await redis.stop()
    const status = async () =>
      (await lonely.shards[0]!.status()) as { dependencies: { store: boolean }; ring: { members: unknown[] } }
    await until(async () => !(await status()).dependencies.store)
    assert.deepEqual(lonely.shards[0]!.gateway.membership.ring().shards, ['gateway-0', 'gateway-1'])
    const fresh = await testRedis({ port: redis.port })
    await lonely.add()
    await lonely.settled(THREE)
    await lonely.stop()
    await fresh.stop()
  })
})
