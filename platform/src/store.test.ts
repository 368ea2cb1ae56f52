/** One suite over both stores: what the platform relies on holds whichever runs. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { testRedis } from '@wmoc/testkit/redis'
import { freePort } from '@wmoc/testkit/free-port'
import fc from 'fast-check'
import { createEmbeddedStoreServer } from './embedded-store-server.ts'
import { gcra } from './core/gcra.ts'
import { randomToken, uuidv7 } from './ids.ts'
import { createLogger } from './log.ts'
import { openStore } from './open-store.ts'
import type { LimitRule, Store } from './store.ts'

const log = createLogger({ process: 'test', level: 'silent' })
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Server {
  url: string
  /** Starts an empty one at the address of the one that was stopped. */
  startAgain(): Promise<void>
  stop(): Promise<void>
}

async function redisServer(): Promise<Server> {
  let redis = await testRedis()
  return {
    url: redis.url,
    startAgain: async () => {
      redis = await testRedis({ port: redis.port })
    },
    stop: () => redis.stop(),
  }
}

async function embeddedServer(): Promise<Server> {
  const options = { host: '127.0.0.1', port: await freePort(), token: randomToken(32) }
  let server = createEmbeddedStoreServer(options)
  await server.start()
  return {
    url: server.url,
    startAgain: async () => {
      server = createEmbeddedStoreServer(options)
      await server.start()
    },
    stop: () => server.stop(),
  }
}

/** Repeats until it holds; the test's own timeout is the bound. */
async function eventually(check: () => Promise<boolean>): Promise<void> {
  while (!(await check().catch(() => false))) await sleep(20)
}

for (const [name, startServer] of [
  ['redis', redisServer],
  ['embedded', embeddedServer],
] as const) {
  suite(`the shared store on ${name}`, () => {
    let server: Server
    let store: Store
    let other: Store

    before(async () => {
      server = await startServer()
      store = openStore({ url: server.url, log, name: 'test' })
      other = openStore({ url: server.url, log, name: 'other' })
      await eventually(async () => {
        await store.ping()
        await other.ping()
        return true
      })
    })
    after(async () => {
      await store.close()
      await other.close()
      await server.stop()
    })

    test('keeps a value until it is deleted or its time is over', async () => {
      const key = uuidv7()
      assert.equal(await store.get(key), null)
      assert.equal(await store.set(key, 'a\n"ы', { ttlMs: 60_000 }), true)
      assert.equal(await other.get(key), 'a\n"ы')
      assert.equal(await store.set(key, 'b', { ttlMs: 60_000, ifAbsent: true }), false)
      assert.equal(await other.get(key), 'a\n"ы')
      assert.equal(await other.delete(key, uuidv7()), 1)
      assert.equal(await store.set(key, 'c', { ttlMs: 30, ifAbsent: true }), true)
      await eventually(async () => (await store.get(key)) === null)
    })

    test('gives a value to exactly one of a hundred takers', async () => {
      const key = uuidv7()
      await store.set(key, 'once', { ttlMs: 60_000 })
      const taken = await Promise.all(
        Array.from({ length: 100 }, (_, i) => (i % 2 ? store : other).take(key)),
      )
      assert.equal(taken.filter((value) => value === 'once').length, 1)
      assert.equal(taken.filter((value) => value === null).length, 99)
    })

    test('counts every increment and forgets the counter after its time', async () => {
      const key = uuidv7()
      const values = await Promise.all(
        Array.from({ length: 50 }, (_, i) => (i % 2 ? store : other).increment(key, 300)),
      )
      assert.deepEqual(
        values.toSorted((a, b) => a - b),
        Array.from({ length: 50 }, (_, i) => i + 1),
      )
      await eventually(async () => (await store.get(key)) === null)
      assert.equal(await store.increment(key, 60_000), 1)
    })

    test('lets exactly the burst through when all come at once', async () => {
      const rule: LimitRule = { burst: 7, count: 1, periodMs: 3_600_000 }
      const key = uuidv7()
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 ? store : other).limit(key, rule)),
      )
      assert.equal(answers.filter((answer) => answer.allowed).length, 7)
      const refused = answers.find((answer) => !answer.allowed)!
      assert.ok(
        refused.retryAfterMs > 3_500_000 && refused.retryAfterMs <= 3_600_000,
        `${refused.retryAfterMs}`,
      )
      assert.equal(refused.remaining, 0)
    })

    test('gives each claim of a controller a higher epoch and names who held it', async () => {
      const id = uuidv7()
      const claims = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          (i % 2 ? store : other).claimPresence(id, { shard: `s${i}`, atLeast: 0, ttlMs: 60_000 }),
        ),
      )
      assert.equal(new Set(claims.map((claim) => claim.epoch)).size, 50)
      assert.equal(claims.filter((claim) => claim.previous === null).length, 1)
      const newest = claims.toSorted((a, b) => b.epoch - a.epoch)[0]!
      const [presence] = await store.getPresence([id])
      assert.equal(presence?.epoch, newest.epoch)
      assert.ok(newest.epoch > 1_700_000_000_000, 'the clock is the floor')
      const far = await store.claimPresence(id, {
        shard: 's',
        atLeast: newest.epoch + 1_000_000,
        ttlMs: 60_000,
      })
      assert.equal(far.epoch, newest.epoch + 1_000_000)
    })

    test('releases only for the epoch that holds, and renews only for one that is not superseded', async () => {
      const id = uuidv7()
      const old = await store.claimPresence(id, { shard: 'a', atLeast: 0, ttlMs: 60_000 })
      const young = await other.claimPresence(id, { shard: 'b', atLeast: 0, ttlMs: 60_000 })
      assert.deepEqual(young.previous, { shard: 'a', epoch: old.epoch, isMoving: false })
      assert.deepEqual(await store.renewPresence('a', [{ controllerId: id, epoch: old.epoch }], 60_000), [
        false,
      ])
      assert.equal(await store.releasePresence(id, old.epoch), false)
      assert.deepEqual(await store.renewPresence('b', [{ controllerId: id, epoch: young.epoch }], 60_000), [
        true,
      ])
      assert.deepEqual(await store.getPresence([id, uuidv7()]), [
        { shard: 'b', epoch: young.epoch, isMoving: false },
        null,
      ])
      assert.equal(await store.releasePresence(id, young.epoch), true)
      assert.deepEqual(await store.getPresence([id]), [null])
    })

    test('marks a presence as moving for its epoch only, for its time, and until the next claim', async () => {
      const id = uuidv7()
      const first = await store.claimPresence(id, { shard: 'a', atLeast: 0, ttlMs: 60_000 })
      assert.equal(await other.leavePresence(id, first.epoch - 1, 60_000), false)
      assert.equal(await other.leavePresence(id, first.epoch, 60_000), true)
      const mark = { shard: 'a', epoch: first.epoch, isMoving: true }
      assert.deepEqual(await store.getPresence([id]), [mark])
      // The last heartbeat of the tunnel may come after it was sent away.
      assert.deepEqual(await store.renewPresence('a', [{ controllerId: id, epoch: first.epoch }], 60_000), [
        true,
      ])
      assert.deepEqual(await store.getPresence([id]), [mark])
      const next = await other.claimPresence(id, { shard: 'b', atLeast: 0, ttlMs: 60_000 })
      assert.deepEqual(next.previous, mark)
      assert.deepEqual(await store.getPresence([id]), [{ shard: 'b', epoch: next.epoch, isMoving: false }])
      assert.equal(await store.leavePresence(id, next.epoch, 30), true)
      await eventually(async () => (await store.getPresence([id]))[0] === null)
      assert.equal(await store.leavePresence(id, next.epoch, 60_000), false)
    })

    test('keeps the members of a group until they go or fall silent', async () => {
      const group = uuidv7()
      const ids = async () => (await other.leases(group)).map((lease) => lease.id).toSorted()
      assert.deepEqual(await store.leases(group), [])
      await store.keepLease(group, { id: 'a', value: '{"x":"1:2"}' }, 60_000)
      await other.keepLease(group, { id: 'b', value: '' }, 60_000)
      await store.keepLease(group, { id: 'c', value: 'short' }, 60)
      assert.deepEqual(await ids().then((all) => all.slice(0, 2)), ['a', 'b'])
      await eventually(async () => (await ids()).length === 2)
      await other.keepLease(group, { id: 'b', value: 'new' }, 60_000)
      assert.deepEqual(
        (await store.leases(group)).toSorted((x, y) => (x.id < y.id ? -1 : 1)),
        [
          { id: 'a', value: '{"x":"1:2"}' },
          { id: 'b', value: 'new' },
        ],
      )
      await other.dropLease(group, 'a')
      assert.deepEqual(await ids(), ['b'])
      assert.deepEqual(await store.leases(uuidv7()), [])
    })

    test('brings messages to every subscriber of the channel and to nobody after the end', async () => {
      const channel = uuidv7()
      const first: string[] = []
      const second: string[] = []
      const endFirst = await store.subscribe(channel, (message) => first.push(message))
      const endSecond = await other.subscribe(channel, (message) => second.push(message))
      await store.publish(channel, 'one')
      await other.publish(channel, 'two')
      await eventually(async () => first.length === 2 && second.length === 2)
      await endFirst()
      await other.publish(channel, 'three')
      await eventually(async () => second.length === 3)
      assert.deepEqual(first.toSorted(), ['one', 'two'])
      await endSecond()
    })

    test('comes back after the server lost everything: epochs go on growing, holders assert theirs again', async () => {
      const id = uuidv7()
      const channel = uuidv7()
      const heard: string[] = []
      await store.subscribe(channel, (message) => heard.push(message))
      const claim = await store.claimPresence(id, { shard: 'a', atLeast: 0, ttlMs: 60_000 })
      await server.stop()
      await server.startAgain()
      await eventually(async () => {
        await store.ping()
        await other.ping()
        return true
      })
      assert.deepEqual(await store.getPresence([id]), [null])
      assert.deepEqual(await store.renewPresence('a', [{ controllerId: id, epoch: claim.epoch }], 60_000), [
        true,
      ])
      assert.deepEqual(await other.getPresence([id]), [{ shard: 'a', epoch: claim.epoch, isMoving: false }])
      const next = await other.claimPresence(id, { shard: 'b', atLeast: 0, ttlMs: 60_000 })
      assert.ok(next.epoch > claim.epoch)
      await eventually(async () => {
        await other.publish(channel, 'again')
        await sleep(20)
        return heard.includes('again')
      })
    })

    test('leaves a presence to the shard written down when another one comes with the same epoch', async () => {
      const id = uuidv7()
      const entry = [{ controllerId: id, epoch: 5 }]
      assert.deepEqual(await store.renewPresence('a', entry, 60_000), [true])
      assert.deepEqual(await other.renewPresence('b', entry, 60_000), [false])
      assert.deepEqual(await store.renewPresence('a', entry, 60_000), [true])
      assert.deepEqual(await store.getPresence([id]), [{ shard: 'a', epoch: 5, isMoving: false }])
    })

    test('goes on delivering after a listener has thrown', async () => {
      const channel = uuidv7()
      const heard: string[] = []
      const ends = [
        await store.subscribe(channel, () => {
          throw new Error('a bug')
        }),
        await store.subscribe(channel, (message) => heard.push(message)),
      ]
      await other.publish(channel, 'one')
      await other.publish(channel, 'two')
      await eventually(async () => heard.length === 2)
      for (const end of ends) await end()
    })

    test('refuses what is asked during an outage, never does it later, and subscribes once back', async () => {
      const key = uuidv7()
      const channel = uuidv7()
      const heard: string[] = []
      await store.increment(key, 60_000)
      await server.stop()
      await eventually(async () =>
        store.ping().then(
          () => false,
          () => true,
        ),
      )
      await assert.rejects(store.increment(key, 60_000), { code: 'dependency_unavailable' })
      await assert.rejects(store.publish(channel, 'lost'), { code: 'dependency_unavailable' })
      const subscribed = store.subscribe(channel, (message) => heard.push(message))
      await server.startAgain()
      await subscribed
      await eventually(async () => {
        await other.publish(channel, 'heard')
        await sleep(20)
        return heard.includes('heard')
      })
      await eventually(async () => (await store.increment(key, 60_000)) === 1)
      assert.ok(!heard.includes('lost'))
    })

    test('fails with a stable code while the server is away', async () => {
      const lonely = openStore({
        url: server.url.replace(/:\d+/, `:${await freePort()}`),
        log,
        name: 'lonely',
      })
      await assert.rejects(lonely.get('x'), { code: 'dependency_unavailable' })
      await lonely.close()
    })
  })
}

test('the embedded store answers nobody without the token', async () => {
  const server = createEmbeddedStoreServer({ host: '127.0.0.1', port: 0, token: randomToken(32) })
  await server.start()
  const store = openStore({ url: server.url.replace(/token=.*/, 'token=wrong'), log, name: 'thief' })
  await assert.rejects(store.get('x'), { code: 'dependency_unavailable' })
  await store.close()
  await server.stop()
})

test('never lets through more than the burst and what came back since', () => {
  fc.assert(
    fc.property(
      fc.record({
        burst: fc.integer({ min: 1, max: 20 }),
        count: fc.integer({ min: 1, max: 20 }),
        periodMs: fc.integer({ min: 1, max: 10_000 }),
      }),
      fc.array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 100 }),
      (rule, gaps) => {
        let tat = 0
        let now = 1_000_000
        const start = now
        let allowed = 0
        for (const gap of gaps) {
          now += gap
          const decision = gcra(tat, now, rule, 1)
          tat = decision.tatMs
          if (decision.result.allowed) allowed++
          else {
            const later = gcra(tat, now + decision.result.retryAfterMs, rule, 1)
            assert.equal(later.result.allowed, true, 'retryAfterMs is enough')
          }
        }
        assert.ok(allowed <= rule.burst + ((now - start) * rule.count) / rule.periodMs + 1e-6)
      },
    ),
  )
})
