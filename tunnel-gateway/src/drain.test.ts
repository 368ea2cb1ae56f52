import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { testRedis } from '@wmoc/testkit/redis'
import { startCluster } from '#src/testing/cluster.ts'
import { startControlPlane } from '#src/testing/control-plane-server.ts'
import type { KnownController } from '#src/testing/control-plane-server.ts'
import { runGateway } from '#src/testing/gateway-process.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { connectDevice } from '#src/testing/raw-device.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'

const endless = { type: 'http_response', status: 200, headers: {}, body: 'endless', more: true }

suite('drain', () => {
  test('F7: tells every tunnel to come back, finishes what is in flight, then closes with 1012', async () => {
    const harness = await startHarness()
    try {
      const known = harness.controlPlane.addController()
      const idle = harness.controlPlane.addController()
      const person = await harness.controlPlane.addPerson()
      harness.controlPlane.grant(person, known.record.controllerId)
      const device = await harness.online(known)
      const other = await harness.online(idle)
      const asked = harness.api(person, known.record.controllerId)
      const request = await device.next('http_request')

      const stopped = harness.gateway.lifecycle.stop()
      const goaway = await device.next('goaway')
      assert.deepEqual(goaway, { type: 'goaway', reason: 'draining', reconnectAfterMs: 0 })
      assert.equal((await other.closed).code, 1012)
      const status = await harness.status()
      assert.equal(status['isDraining'], true)
      assert.deepEqual(status['drain'], { state: 'waiting', told: 2, left: 1, remaining: 1 })
      const late = await harness.connect()
      late.send({
        type: 'register',
        credentials: { controller_id: idle.record.controllerId, secret: idle.secret },
      })
      assert.equal((await late.closed).code, 1012)

      device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'in time' })
      assert.equal((await asked).text, 'in time')
      assert.equal((await device.closed).code, 1012)
      await stopped
      const told = harness.controlPlane.events.filter((event) => event.type === 'disconnected')
      assert.equal(told.length, 2)
    } finally {
      await harness.stop()
    }
  })

  test('F8: a request that never ends is cut at the deadline', async () => {
    const harness = await startHarness({ DRAIN_DEADLINE_MS: '300' })
    try {
      const known = harness.controlPlane.addController()
      const person = await harness.controlPlane.addPerson()
      harness.controlPlane.grant(person, known.record.controllerId)
      const device = await harness.online(known)
      const asked = harness.api(person, known.record.controllerId)
      const request = await device.next('http_request')
      device.send({ ...endless, id: request.id })
      await until(async () => (await harness.status())['inFlight'] === 1)
      await harness.gateway.lifecycle.stop()
      assert.equal((await asked).isCut, true)
      assert.equal((await device.closed).code, 1012)
    } finally {
      await harness.stop()
    }
  })

  test('F8: on SIGTERM the process ends with 0, stuck requests or not', async () => {
    const redis = await testRedis()
    const controlPlane = await startControlPlane()
    const gateway = runGateway({ redis, controlPlane })
    try {
      const port = await gateway.port
      const { record, secret } = controlPlane.addController()
      const person = await controlPlane.addPerson()
      controlPlane.grant(person, record.controllerId)
      const device = await connectDevice(port)
      device.send({ type: 'register', credentials: { controller_id: record.controllerId, secret } })
      await device.next('registered')
      const asked = fetch(`http://127.0.0.1:${port}/c/${record.controllerId}/`, {
        headers: { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` },
      })
      const request = await device.next('http_request')
      device.send({ ...endless, id: request.id })
      const response = await asked
      gateway.kill('SIGTERM')
      assert.equal((await device.closed).code, 1012)
      await assert.rejects(response.text(), 'cut, and seen to be cut')
      assert.deepEqual(await gateway.ended, { code: 0, signal: null })
    } finally {
      await gateway.stop()
      await controlPlane.stop()
      await redis.stop()
    }
  })

  test('F7: a shard whose successor runs already sends its devices there, so that an update moves each once', async () => {
    const cluster = await startCluster(2)
    try {
      const [leaving, other] = [cluster.shards[0]!, cluster.shards[1]!]
      const successor = await cluster.add('gateway-0')
      const stray = await leaving.online(cluster.controllerOf(other), { features: ['overlap', 'follow'] })
      const stopped = leaving.gateway.lifecycle.stop()
      assert.equal((await stray.next('goaway')).shard, 'gateway-0')
      stray.stop()
      await stopped
      assert.deepEqual(other.gateway.membership.ring().shards, ['gateway-0', 'gateway-1'])
      await until(
        () =>
          other.gateway.membership.find('gateway-0')?.instance === successor.gateway.membership.self.instance,
      )
    } finally {
      await cluster.stop()
    }
  })

  test('F7: while a shard of three drains no request fails, whichever shard is asked and whatever the device can', async () => {
    const cluster = await startCluster(3, { DRAIN_WINDOW_MS: '500' })
    try {
      const leaving = cluster.shards[0]!
      const staying = cluster.shards.slice(1)
      const person = await cluster.controlPlane.addPerson()
      const able = Array.from({ length: 6 }, () => cluster.controlPlane.addController())
      const plain = Array.from({ length: 4 }, () => cluster.controlPlane.addController())
      for (const { record } of [...able, ...plain]) cluster.controlPlane.grant(person, record.controllerId)
      const reconnects: string[] = []
      for (const known of able) await live(known, leaving, { features: ['overlap', 'follow'] })
      for (const known of plain) await live(known, leaving, {})

      /** Serves, and behaves at `goaway` as its features say. */
      async function live(known: KnownController, shard: Harness, extra: object): Promise<void> {
        const { controllerId } = known.record
        const device = await shard.connect()
        device.serve(() => ({ body: controllerId }))
        device.socket.on('message', (data: Buffer) => {
          const message = JSON.parse(data.toString()) as { type: string; shard?: string }
          if (message.type === 'goaway') void goes(device, message.shard)
        })
        const credentials = { controller_id: controllerId, secret: known.secret, ...extra }
        device.send({ type: 'register', credentials })
        await device.next('registered')

        async function goes(old: RawDevice, hint: string | undefined): Promise<void> {
          reconnects.push(controllerId)
          if ('features' in extra) assert.ok(hint !== undefined && hint !== 'gateway-0')
          else await old.closed
          const next = staying.find(({ gateway }) => gateway.membership.self.shard === hint)
          await live(known, next ?? staying[0]!, extra)
        }
      }

      let answered = 0
      const failed: string[] = []
      const now = { isGone: false, isOver: false }
      const users = [...able, ...plain].map(async ({ record }, at) => {
        for (let count = at; !now.isOver; count++) {
          const shard = cluster.shards[count % 3]!
          if (shard === leaving && now.isGone) continue
          const answer = await shard.api(person, record.controllerId)
          if (answer.status === 200 && answer.text === record.controllerId) answered += 1
          else failed.push(`${answer.status} ${answer.text}`)
        }
      })
      await until(() => answered > 50)
      const admin = `http://127.0.0.1:${leaving.gateway.adminPort}`
      const begun = (await (await fetch(`${admin}/drain`, { method: 'POST' })).json()) as {
        drain: { state: string; remaining: number }
      }
      assert.equal(begun.drain.state, 'leaving')
      assert.equal(begun.drain.remaining, 10)
      assert.equal((await fetch(`${admin}/readyz`)).status, 503)
      const last = await leaving.api(person, able[0]!.record.controllerId, {
        headers: { connection: 'keep-alive' },
      })
      assert.equal(last.headers.connection, 'close')
      await until(
        async () => ((await leaving.status())['drain'] as { remaining: number }).remaining === 0,
        30_000,
      )
      now.isGone = true
      const before = answered
      await until(() => answered > before + 50)
      now.isOver = true
      await Promise.all(users)
      assert.deepEqual(failed, [])
      assert.deepEqual(
        reconnects.toSorted(),
        [...able, ...plain].map(({ record }) => record.controllerId).toSorted(),
      )
      await until(async () => ((await leaving.status())['drain'] as { state: string }).state === 'drained')
      assert.deepEqual(staying[0]!.gateway.membership.ring().shards, ['gateway-1', 'gateway-2'])
      for (const { status } of cluster.shards) assert.deepEqual((await status())['invariants'], [])
    } finally {
      await cluster.stop()
    }
  })
})
