/** What users and devices notice of a shared store that is slow, silent, replaced or has a clock of its own: nothing. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import { testRedis } from '@wmoc/testkit/redis'
import { redisCommand, startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import type { KnownController, Person } from '#src/testing/control-plane-server.ts'
import { startFaultyLink } from '#src/testing/faulty-link.ts'
import { runGateway } from '#src/testing/gateway-process.ts'
import { until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { connectDevice } from '#src/testing/raw-device.ts'

const log = createLogger({ process: 'test', level: 'silent' })

/** Two shards on a Redis behind a link that the test holds, and a device of the second on the first. */
async function world() {
  const redis = await testRedis()
  const link = await startFaultyLink(redis.port)
  const cluster = await startCluster(
    2,
    {},
    { redis: { url: `redis://127.0.0.1:${link.port}`, port: redis.port, stop: () => redis.stop() } },
  )
  const person = await cluster.controlPlane.addPerson()
  const known = cluster.controllerOf(cluster.shards[1]!)
  cluster.controlPlane.grant(person, known.record.controllerId)
  const device = await cluster.shards[0]!.online(known)
  device.serve(() => ({ body: 'fine' }))
  return {
    redis,
    link,
    cluster,
    person,
    known,
    device,
    async stop() {
      link.delayMs = 0
      link.isSilent = false
      await cluster.stop()
      await link.stop()
      await redis.stop()
    },
  }
}

async function askBoth(cluster: Cluster, person: Person, known: KnownController): Promise<void> {
  for (const shard of cluster.shards) {
    const answer = await shard.api(person, known.record.controllerId)
    assert.equal(`${answer.status} ${answer.text}`, '200 fine')
  }
}

suite('faults of the shared store', () => {
  test('F2: silent for longer than every lease: requests go on over both shards, the ring stays, and all is well after', async () => {
    const { link, cluster, person, known, device, stop } = await world()
    try {
      const rings = () => cluster.shards.map(({ gateway }) => gateway.membership.ring().shards.length)
      link.isSilent = true
      const since = performance.now()
      let asked = 0
      for (; performance.now() - since < 5_000; asked++) {
        await askBoth(cluster, person, known)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      assert.ok(asked > 0)
      assert.deepEqual(rings(), [2, 2])
      link.isSilent = false
      link.leadTo(cluster.redis.port)
      const newcomer = cluster.controlPlane.addController()
      await until(() =>
        cluster.shards[1]!.online(newcomer).then(
          () => true,
          () => false,
        ),
      )
      await askBoth(cluster, person, known)
      assert.deepEqual(rings(), [2, 2])
      assert.equal(device.socket.readyState, device.socket.OPEN)
    } finally {
      await stop()
    }
  })

  test('F3: a failover that loses the last writes, with the old primary turned READONLY: told again, epochs go on growing', async () => {
    const { redis, link, cluster, person, known, device, stop } = await world()
    const replica = await testRedis()
    try {
      await redisCommand(replica.port, `REPLICAOF 127.0.0.1 ${redis.port}`)
      await until(async () =>
        (await redisCommand(replica.port, 'INFO replication')).includes('link_status:up'),
      )
      await redisCommand(replica.port, 'REPLICAOF NO ONE')
      // Lost by the failover that follows.
      const late = cluster.controllerOf(cluster.shards[1]!)
      cluster.controlPlane.grant(person, late.record.controllerId)
      const lateDevice = await cluster.shards[0]!.online(late)
      lateDevice.serve(() => ({ body: 'fine' }))
      await redisCommand(redis.port, `REPLICAOF 127.0.0.1 ${replica.port}`)
      await until(async () => (await redisCommand(redis.port, 'SET x y')).startsWith('-READONLY'))
      link.leadTo(replica.port)

      const store = openStore({ url: replica.url, log, name: 'test' })
      const ids = [known, late].map(({ record }) => record.controllerId)
      const epochs = [device, lateDevice].map(({ registered }) => registered.epoch)
      await until(async () => {
        const found = await store.getPresence(ids).catch(() => [])
        return found.map((presence) => presence?.epoch).join() === epochs.join()
      })
      await askBoth(cluster, person, known)
      await askBoth(cluster, person, late)
      const next = await cluster.shards[1]!.online(late)
      assert.ok(next.registered.epoch > lateDevice.registered.epoch)
      assert.equal((await lateDevice.closed).code, 4409)
      await store.close()
    } finally {
      await stop()
      await replica.stop()
    }
  })

  test('F3: after FLUSHALL every tunnel is told again within seconds', async () => {
    const { redis, cluster, person, known, device, stop } = await world()
    try {
      const store = openStore({ url: redis.url, log, name: 'test' })
      const others = await Promise.all(
        Array.from({ length: 50 }, () => cluster.shards[1]!.online(cluster.controlPlane.addController())),
      )
      const ids = [known.record.controllerId, ...others.map(({ registered }) => registered.controllerId)]
      const epochs = [device.registered.epoch, ...others.map(({ registered }) => registered.epoch)]
      for (let round = 0; round < 3; round++) {
        await redisCommand(redis.port, 'FLUSHALL')
        await until(async () => {
          const found = await store.getPresence(ids)
          return found.every((presence, at) => presence?.epoch === epochs[at])
        })
      }
      await askBoth(cluster, person, known)
      await store.close()
    } finally {
      await stop()
    }
  })

  test('F10: with a store that answers after half a second no request waits for it', async () => {
    const { link, cluster, person, known, stop } = await world()
    try {
      await askBoth(cluster, person, known)
      link.delayMs = 250
      const countWaiting = async () => {
        let waited = 0
        for (let count = 0; count < 40; count++) {
          const since = performance.now()
          await askBoth(cluster, person, known)
          if (performance.now() - since >= 500) waited += 1
        }
        return waited
      }
      // A busy machine keeps some waiting as well, but hardly each time.
      const rounds: number[] = []
      while (rounds.length < 5 && !rounds.some((waited) => waited <= 2)) rounds.push(await countWaiting())
      assert.ok(
        rounds.some((waited) => waited <= 2),
        `${rounds.join(', ')} of 40`,
      )
      const device = await cluster.shards[1]!.online(known)
      assert.ok(device.registered.epoch > 0)
      assert.deepEqual(
        cluster.shards.map(({ gateway }) => gateway.membership.ring().shards.length),
        [2, 2],
      )
    } finally {
      await stop()
    }
  })

  test('F2: a shard that alone has lost the store stays in the cluster, and lets go of what moved away', async () => {
    const redis = await testRedis()
    const link = await startFaultyLink(redis.port)
    const cluster = await startCluster(1, {}, { redis })
    try {
      const lonely = await cluster.add('lonely', { REDIS_URL: `redis://127.0.0.1:${link.port}` })
      await cluster.settled(['gateway-0', 'lonely'])
      const person = await cluster.controlPlane.addPerson()
      const known = cluster.controlPlane.addController()
      cluster.controlPlane.grant(person, known.record.controllerId)
      const device = await lonely.online(known)
      device.serve(() => ({ body: 'fine' }))
      await askBoth(cluster, person, known)
      link.isSilent = true
      const store = openStore({ url: redis.url, log, name: 'test' })
      await until(async () => (await store.leases('gateways')).length === 1)
      for (let round = 0; round < 10; round++) {
        await askBoth(cluster, person, known)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      for (const { gateway } of cluster.shards)
        assert.deepEqual(gateway.membership.ring().shards, ['gateway-0', 'lonely'])
      // The store cannot tell it, another shard can.
      const next = await cluster.shards[0]!.online(known)
      next.serve(() => ({ body: 'fine' }))
      assert.equal((await device.closed).code, 4409)
      await askBoth(cluster, person, known)
      link.isSilent = false
      link.leadTo(redis.port)
      await until(async () => (await store.leases('gateways')).length === 2)
      await store.close()
    } finally {
      link.isSilent = false
      await cluster.stop()
      await link.stop()
      await redis.stop()
    }
  })

  test('F9: clocks of shards an hour apart: one ring, epochs grow wherever the device registers', async () => {
    const cluster = await startCluster(1)
    const fast = skewed(cluster, 'fast', 3_600_000)
    const slow = skewed(cluster, 'slow', -3_600_000)
    try {
      const ports = await Promise.all([fast.port, slow.port])
      await cluster.settled(['fast', 'gateway-0', 'slow'])
      const person = await cluster.controlPlane.addPerson()
      const known = cluster.controlPlane.addController()
      cluster.controlPlane.grant(person, known.record.controllerId)
      const [home] = cluster.shards as [Harness]
      await until(async () =>
        ((await home.status())['peers'] as { isUp: boolean }[]).every(({ isUp }) => isUp),
      )
      let epoch = 0
      for (const port of [...ports, home.port, ...ports]) {
        const device = await connectDevice(port)
        device.serve(() => ({ body: `${port}` }))
        device.send({
          type: 'register',
          credentials: { controller_id: known.record.controllerId, secret: known.secret },
        })
        const registered = await device.next('registered')
        assert.ok(registered.epoch > epoch)
        epoch = registered.epoch
        const answers = new Set<string>()
        await until(async () => {
          const { text } = await home.api(person, known.record.controllerId)
          answers.add(text)
          return text === `${port}`
        }).catch(() => assert.fail(`${port} was not asked, but: ${[...answers].join()}`))
      }
      assert.equal(home.gateway.membership.ring().shards.length, 3)
    } finally {
      await Promise.all([fast.stop(), slow.stop()])
      await cluster.stop()
    }
  })
})

/** A shard of its own process whose wall clock is wrong. */
function skewed(cluster: Cluster, name: string, byMs: number) {
  const clock = `const real=Date.now;Date.now=()=>real()+(${byMs})`
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(clock)}`
  return runGateway(cluster, { NODE_OPTIONS, SHARD_ID: name })
}
