import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KnownController } from '#src/testing/control-plane-server.ts'
import { redisCommand } from '#src/testing/cluster.ts'
import { until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { connectDevice } from '#src/testing/raw-device.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { RawDeviceV2 } from '#src/testing/raw-device-v2.ts'
import { startHops } from './testing/hops.ts'
import type { Hops } from './testing/hops.ts'

suite('controllers that move between shards', () => {
  let hops: Hops
  let owner: Harness
  let other: Harness
  const lines: { stop(): void }[] = []

  before(async () => {
    hops = await startHops()
    ;({ owner, other } = hops)
  })
  after(async () => {
    for (const line of lines) line.stop()
    for (const shard of [owner, other]) assert.deepEqual((await shard.status())['invariants'], [])
    await hops.stop()
  })

  /** Answers every request with the name of this connection and the body that came. */
  async function v2(shard: Harness, known: KnownController, name: string): Promise<RawDeviceV2> {
    const line = await onlineV2(shard.port, known, { rx_window: 65_536, rx_budget: 262_144 })
    lines.push(line)
    line.serve((asked) => {
      void until(() => asked.log.includes('end')).then(() =>
        answer(asked, `${name} ${Buffer.concat(asked.body).toString()}`),
      )
    })
    return line
  }

  test('T19: a request that went to where its controller no longer is goes on to where it is, once', async () => {
    const known = hops.controllerOf(owner)
    const id = known.record.controllerId
    const first = await v2(owner, known, 'first')
    assert.equal((await other.api(hops.person, id)).text, 'first ')
    // Anew on the same shard, of which the other one does not hear.
    const second = await v2(owner, known, 'second')
    assert.equal((await first.closed).code, 4409)
    const posted = await other.api(hops.person, id, { method: 'POST', body: 'x'.repeat(100_000) })
    assert.equal(posted.text, `second ${'x'.repeat(100_000)}`)
    assert.deepEqual([first.asked.length, second.asked.length], [1, 1])
    // Now on the shard at which the users arrive, and back.
    await v2(other, known, 'third')
    assert.equal((await second.closed).code, 4409)
    assert.equal((await other.api(hops.person, id)).text, 'third ')
    assert.equal((await owner.api(hops.person, id)).text, 'third ')
    await v2(owner, known, 'fourth')
    assert.equal((await other.api(hops.person, id, { method: 'POST', body: 'y' })).text, 'fourth y')
    assert.match(await other.metrics(), /misrouted_total\{kind="request",action="repeated"\} 1/)
  })

  test('T19: dialect v1: the same, though its body is taken only as a whole', async () => {
    const known = hops.controllerOf(owner)
    const id = known.record.controllerId
    const first = await owner.online(known)
    first.serve(() => ({ body: 'first' }))
    assert.equal((await other.api(hops.person, id)).text, 'first')
    const second = await owner.online(known)
    second.serve(({ body }) => ({ body: `second ${body}` }))
    assert.equal((await other.api(hops.person, id, { method: 'POST', body: 'abc' })).text, 'second abc')
  })

  test('F1: the shard that held a controller lets go of it before the next one answers', async () => {
    const known = hops.controllerOf(owner)
    const id = known.record.controllerId
    const old = await v2(owner, known, 'old')
    const fresh = await v2(other, known, 'fresh')
    assert.equal((await old.closed).code, 4409)
    assert.equal((await owner.api(hops.person, id)).text, 'fresh ')
    assert.equal((await other.api(hops.person, id)).text, 'fresh ')
    assert.deepEqual([old.asked.length, fresh.asked.length], [0, 2])
  })

  test('a device that went from where it was found is offline: nothing of the request can have reached it', async () => {
    const known = hops.controllerOf(owner)
    const id = known.record.controllerId
    const line = await v2(owner, known, 'gone')
    assert.equal((await other.api(hops.person, id)).text, 'gone ')
    line.stop()
    await until(async () => /device_offline/.test((await owner.api(hops.person, id)).text))
    const lost = await other.api(hops.person, id, { method: 'POST', body: 'x' })
    assert.deepEqual([lost.status, /device_offline/.test(lost.text)], [503, true])
    assert.equal(lost.headers['retry-after'], '5')
  })

  test('a device that is offline costs the store a few questions, however many ask', async () => {
    const known = hops.controllerOf(owner)
    const questions = async () => {
      const info = await redisCommand(hops.cluster.redis.port, 'INFO commandstats')
      return Number(/cmdstat_hmget:calls=(\d+)/.exec(info)?.[1] ?? 0)
    }
    const asked = await questions()
    const startedAt = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 300 }, () => other.api(hops.person, known.record.controllerId)),
    )
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([503]))
    assert.match(answers[0]!.text, /device_offline/)
    // Twenty a second at most.
    assert.ok((await questions()) - asked <= 2 + (performance.now() - startedAt) / 50)
  })

  test('F2: without the store, requests go on to every controller whose shard is reached', async () => {
    const known = hops.controllerOf(owner)
    const strayed = hops.controllerOf(owner)
    const absent = hops.controllerOf(owner)
    await v2(owner, known, 'known')
    await v2(other, strayed, 'strayed')
    await hops.cluster.redis.stop()
    assert.equal((await other.api(hops.person, known.record.controllerId)).text, 'known ')
    // Not where the ring places it: everybody is asked.
    assert.equal((await owner.api(hops.person, strayed.record.controllerId)).text, 'strayed ')
    assert.match((await other.api(hops.person, absent.record.controllerId)).text, /device_offline/)
    // A shard that can't be asked may hold it.
    hops.cable.stop()
    await until(async () => {
      const { peers } = (await other.status()) as { peers: { isUp: boolean }[] }
      return peers.every(({ isUp }) => !isUp)
    })
    const undecided = await other.api(hops.person, absent.record.controllerId)
    assert.match(undecided.text, /dependency_unavailable/)
    assert.ok(Number(undecided.headers['retry-after']) >= 1)
  })
})

suite('a ring that changes under load', () => {
  test('F12: every request reaches its own device, once, while shards come and go', async () => {
    const hops = await startHops()
    const { cluster, person } = hops
    await cluster.add('gateway-2')
    await hops.linked()
    const running = () => cluster.shards.filter(({ gateway }) => !gateway.isStopped && !leaving.has(gateway))
    const leaving = new Set<unknown>()
    const fleet = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const known = hops.controllerOf(running()[index % 3]!)
        return startRoamer(known, running)
      }),
    )
    await until(() => fleet.every(({ isOnline }) => isOnline()))

    const problems: string[] = []
    let asked = 0
    const asking = new AbortController()
    async function ask(lane: number): Promise<void> {
      while (!asking.signal.aborted) {
        const roamer = fleet[Math.floor(Math.random() * fleet.length)]!
        const shards = running()
        const shard = shards[lane % shards.length]!
        asked += 1
        const word = `${lane}-${asked}`
        const answered = await shard.api(person, roamer.id, { method: 'POST', body: word })
        if (answered.text !== `${roamer.id} ${word}` || answered.isCut)
          problems.push(`${answered.status} ${answered.text.slice(0, 200)}`)
        if (roamer.got(word) !== 1) problems.push(`${word} came ${roamer.got(word)} times`)
        await sleep(5)
      }
    }
    const lanes = Array.from({ length: 6 }, (_, lane) => ask(lane))
    try {
      for (let round = 0; round < 3; round++) {
        await sleep(300)
        await cluster.add(`gateway-${3 + round}`)
        const victim = cluster.shards[round]!
        leaving.add(victim.gateway)
        await victim.gateway.lifecycle.stop()
        await until(() => fleet.every(({ isOnline }) => isOnline()))
      }
      await sleep(300)
    } finally {
      asking.abort()
      await Promise.all(lanes)
    }
    assert.deepEqual(problems, [])
    assert.ok(asked > 100)
    for (const shard of running()) assert.deepEqual((await shard.status())['invariants'], [])
    for (const roamer of fleet) roamer.stop()
    await hops.stop()
  })
})

/** A device of dialect v1 that comes back at once, to any shard. */
function startRoamer(known: KnownController, shards: () => readonly Harness[]) {
  const seen = new Map<string, number>()
  let line: RawDevice | null = null
  const stopped = new AbortController()

  async function connectOnce(): Promise<void> {
    const all = shards()
    const device = await connectDevice(all[Math.floor(Math.random() * all.length)]!.port)
    device.serve(({ body }) => {
      seen.set(body, (seen.get(body) ?? 0) + 1)
      return { body: `${known.record.controllerId} ${body}` }
    })
    const { controllerId, secret } = { ...known.record, ...known }
    device.send({ type: 'register', credentials: { controller_id: controllerId, secret } })
    await Promise.race([device.next('registered'), device.closed])
    line = device
    await device.closed
    line = null
  }

  async function roam(): Promise<void> {
    while (!stopped.signal.aborted) {
      await connectOnce().catch(() => undefined)
      await sleep(20)
    }
  }
  void roam()

  return {
    id: known.record.controllerId,
    got: (word: string) => seen.get(word) ?? 0,
    isOnline: () => line !== null,
    stop() {
      stopped.abort()
      line?.stop()
    },
  }
}
