/** Two sockets of one controller on two shards: once the newer one is registered, nothing of the older one counts. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { testRedis } from '@wmoc/testkit/redis'
import { redisCommand, startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import { startControlPlane } from '#src/testing/control-plane-server.ts'
import type { KnownController, Person } from '#src/testing/control-plane-server.ts'
import { runGateway } from '#src/testing/gateway-process.ts'
import type { Harness } from '#src/testing/harness.ts'
import { connectDevice } from '#src/testing/raw-device.ts'
import { PRESENCE } from './presence.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'

const ROUNDS = 1_000
const PARALLEL = 10
/** Of one controller; more would look like two devices that fight. */
const IN_A_ROW = 5

suite('fencing', () => {
  test('F1: in 1,000 rounds of two live sockets on two shards no answer comes from the older one', async () => {
    const cluster = await startCluster(2)
    try {
      const person = await cluster.controlPlane.addPerson()
      const counts = { stale: 0, fresh: 0, refused: 0 }
      const runs = Array.from({ length: PARALLEL }, async () => {
        for (let left = ROUNDS / PARALLEL; left > 0; left -= IN_A_ROW) {
          const known = cluster.controlPlane.addController()
          cluster.controlPlane.grant(person, known.record.controllerId)
          let old = await registered(cluster.shards[0]!, known, 'round 0')
          for (let round = 1; round <= IN_A_ROW; round++) {
            old = await takeOver(cluster, known, person, old, round, counts)
          }
          old.stop()
        }
      })
      await Promise.all(runs)
      assert.equal(counts.stale, 0)
      assert.equal(counts.fresh, ROUNDS * 2)
      assert.equal(counts.refused, ROUNDS, 'what the old socket had not answered was failed, not kept')
      for (const { status } of cluster.shards) assert.deepEqual((await status())['invariants'], [])
    } finally {
      await cluster.stop()
    }
  })

  test('F11: a message that got lost on the way to the older socket is told again', async () => {
    // No link leads to the first shard, so that only messages through the store can tell it.
    const cluster = await startCluster(0)
    try {
      const first = await cluster.add('first', { PEER_ADVERTISE: '127.0.0.1:1' })
      const second = await cluster.add('second')
      const known = cluster.controlPlane.addController()
      const old = await registered(first, known, 'old')
      // So many that a round of renewals takes its time.
      for (let count = 0; count < 150; count++)
        await registered(first, cluster.controlPlane.addController(), 'other')
      // Past the time in which its own claim is told again.
      await new Promise((resolve) => setTimeout(resolve, 1.3 * PRESENCE.repeatClaimMs))
      const now = { isRegistered: false }
      const cutting = (async () => {
        while (!now.isRegistered) await redisCommand(cluster.redis.port, 'CLIENT KILL TYPE pubsub')
      })()
      await registered(second, known, 'new')
      now.isRegistered = true
      await cutting
      const { code } = await Promise.race([
        old.closed,
        new Promise<{ code: number }>((resolve) => setTimeout(resolve, 60_000, { code: 0 }).unref()),
      ])
      assert.equal(code, 4409)
    } finally {
      await cluster.stop()
    }
  })

  test('F1: a shard that stood still serves nothing of the past when it wakes', async () => {
    const redis = await testRedis()
    const controlPlane = await startControlPlane()
    const start = (name: string) => runGateway({ redis, controlPlane }, { SHARD_ID: name })
    const processes = [start('a'), start('b')]
    try {
      const [a, b] = await Promise.all(processes.map(({ port }) => port))
      const known = controlPlane.addController()
      const person = await controlPlane.addPerson()
      controlPlane.grant(person, known.record.controllerId)
      const ask = async () => {
        const response = await fetch(`http://127.0.0.1:${a}/c/${known.record.controllerId}/`, {
          headers: { authorization: `Bearer ${person.accessToken}` },
        })
        return response.text()
      }
      const [paused] = processes
      /** Requests wait in the kernel until it wakes. */
      async function wakes(old: RawDevice, body: string): Promise<void> {
        const asked = Array.from({ length: 5 }, ask)
        await new Promise((resolve) => setTimeout(resolve, 300))
        paused!.kill('SIGCONT')
        for (const answer of await Promise.all(asked)) assert.equal(answer, body)
        assert.equal((await old.closed).code, 4409)
      }
      for (const round of [1, 2]) {
        const old = await connected(a!, known, `old ${round}`)
        assert.equal(await ask(), `old ${round}`)
        paused!.kill('SIGSTOP')
        const next = await connected(b!, known, `new ${round}`)
        await wakes(old, `new ${round}`)
        next.stop()
        await next.closed
      }

      // No message tells it: its subscription is cut, and the shard that takes over has no link to it.
      const old = await connected(a!, known, 'old')
      assert.equal(await ask(), 'old')
      paused!.kill('SIGSTOP')
      processes[1]!.kill('SIGKILL')
      const third = start('c')
      processes.push(third)
      const c = await third.port
      const cut = await redisCommand(redis.port, 'CLIENT KILL TYPE pubsub')
      assert.match(cut, /:[1-9]/)
      await connected(c, known, 'new')
      await wakes(old, 'new')
    } finally {
      processes[0]!.kill('SIGCONT')
      await Promise.all(processes.map((gateway) => gateway.stop()))
      await controlPlane.stop()
      await redis.stop()
    }
  })
})

/** One more socket, on the other shard; requests before, during and after. Answers the new socket. */
async function takeOver(
  cluster: Cluster,
  known: KnownController,
  person: Person,
  old: RawDevice,
  round: number,
  counts: { stale: number; fresh: number; refused: number },
): Promise<RawDevice> {
  const { controllerId } = known.record
  const from = cluster.shards[(round + 1) % 2]!
  const to = cluster.shards[round % 2]!
  old.serve(() => null)
  const heard = new Promise<string>((resolve) => {
    old.serve(({ id }) => {
      resolve(id)
      return null
    })
  })
  const waiting = (round % 3 === 0 ? to : from).api(person, controllerId)
  const id = await heard
  const young = await registered(to, known, `round ${round}`)
  // An answer that was on its way for long; and everything that might still reach the old socket.
  old.serve(() => ({ body: 'stale' }))
  if (old.socket.readyState === old.socket.OPEN)
    old.send({ type: 'http_response', id, status: 200, headers: {}, body: 'stale' })
  const answers = await Promise.all([from.api(person, controllerId), to.api(person, controllerId)])
  for (const { text } of answers) {
    if (text === 'stale') counts.stale += 1
    else if (text === `round ${round}`) counts.fresh += 1
    else assert.fail(text)
  }
  const late = await waiting
  if (late.text === 'stale') counts.stale += 1
  else if (late.status >= 500) counts.refused += 1
  assert.equal((await old.closed).code, 4409)
  return young
}

/** As devices do it: one that is told to come again comes again. */
async function registered(shard: Harness, known: KnownController, body: string): Promise<RawDevice> {
  for (let left = 5; ; left -= 1) {
    const device = await shard.connect()
    try {
      return await register(device, known, body)
    } catch (error) {
      const isTold = device.received.some((text) => text.includes('"try_again_later"'))
      if (!isTold || left === 0) throw error
    }
  }
}

async function connected(port: number, known: KnownController, body: string): Promise<RawDevice> {
  return register(await connectDevice(port), known, body)
}

async function register(device: RawDevice, known: KnownController, body: string): Promise<RawDevice> {
  device.serve(() => ({ body }))
  const credentials = { controller_id: known.record.controllerId, secret: known.secret }
  device.send({ type: 'register', credentials })
  await device.next('registered')
  return device
}
