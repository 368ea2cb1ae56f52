import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { startCluster } from '#src/testing/cluster.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

async function call(harness: Harness, method: string, path: string, body?: string) {
  const response = await fetch(`http://127.0.0.1:${harness.gateway.adminPort}${path}`, {
    method,
    ...(body === undefined ? {} : { body }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const drainState = (status: Record<string, unknown>) => (status['drain'] as { state: string }).state

suite('what operators ask of a shard', () => {
  test('a drain that is taken back lets the devices stay, and the shard is ready and on the ring again', async () => {
    const cluster = await startCluster(2)
    try {
      const [shard, other] = [cluster.shards[0]!, cluster.shards[1]!]
      const known = cluster.controllerOf(shard)
      const person = await cluster.controlPlane.addPerson()
      cluster.controlPlane.grant(person, known.record.controllerId)
      const device = await shard.online(known, { features: ['overlap', 'follow'] })
      device.serve(() => ({ body: 'still here' }))
      const begun = await call(shard, 'POST', '/drain', '{"evict_per_second": 1, "deadline_ms": 600000}')
      assert.equal(begun.status, 202)
      assert.equal((await call(shard, 'GET', '/readyz')).status, 503)
      await until(() => other.gateway.membership.ring().shards.join() === 'gateway-1')
      const back = await call(shard, 'POST', '/undrain')
      assert.equal(back.status, 200)
      assert.equal(back.body['isDraining'], false)
      assert.equal(drainState(back.body), 'serving')
      assert.equal((await call(shard, 'GET', '/readyz')).status, 200)
      await cluster.settled(['gateway-0', 'gateway-1'])
      assert.equal((await other.api(person, known.record.controllerId)).text, 'still here')
      const late = await shard.online(cluster.controllerOf(shard))
      assert.equal(late.registered.type, 'registered')
      // And it can be drained again.
      await call(shard, 'POST', '/drain')
      assert.equal((await device.next('goaway')).shard, 'gateway-1')
    } finally {
      await cluster.stop()
    }
  })

  test('devices are told to go at the rate that was asked for', async () => {
    const harness = await startHarness()
    try {
      const devices = []
      for (let at = 0; at < 4; at++) devices.push(await harness.online(harness.controlPlane.addController()))
      const told: number[] = []
      for (const device of devices) void device.next('goaway').then(() => told.push(performance.now()))
      await call(harness, 'POST', '/drain', '{"evict_per_second": 5}')
      await until(() => told.length === 4)
      assert.ok(told[3]! - told[0]! > 500, `${told[3]! - told[0]!} ms for three gaps of 200`)
      await until(async () => drainState(await harness.status()) === 'drained')
      assert.match(String((await harness.status())['drainedAt']), /^\d{4}-.*Z$/)
    } finally {
      await harness.stop()
    }
  })

  test('a deadline that is too short for the rate is kept all the same', async () => {
    const harness = await startHarness({ DRAIN_SETTLE_MS: '0' })
    try {
      for (let at = 0; at < 4; at++) await harness.online(harness.controlPlane.addController())
      await call(harness, 'POST', '/drain', '{"evict_per_second": 0.1, "deadline_ms": 1000}')
      await until(async () => drainState(await harness.status()) === 'drained')
    } finally {
      await harness.stop()
    }
  })

  test('the end of the process overtakes a slow drain, and cannot be taken back', async () => {
    const harness = await startHarness()
    const device = await harness.online(harness.controlPlane.addController())
    const person = await harness.controlPlane.addPerson()
    const held = harness.controlPlane.addController()
    harness.controlPlane.grant(person, held.record.controllerId)
    const busy = await harness.online(held)
    const asked = harness.api(person, held.record.controllerId)
    const request = await busy.next('http_request')
    await call(harness, 'POST', '/drain', '{"evict_per_second": 0.1}')
    const stopped = harness.gateway.lifecycle.stop()
    assert.equal((await device.closed).code, 1012)
    const refused = await call(harness, 'POST', '/undrain')
    assert.equal(refused.status, 409)
    assert.equal(refused.body['code'], 'ending')
    busy.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'in time' })
    assert.equal((await asked).text, 'in time')
    await stopped
    await harness.stop()
  })

  test('a body that cannot be meant is refused with what is wrong, and nothing drains', async () => {
    const harness = await startHarness()
    try {
      for (const [body, wrong] of [
        ['{"evict_per_second": 0}', /evict_per_second/],
        ['{"deadline_ms": -1}', /deadline_ms/],
        ['{"deadline": 1}', /deadline/],
        ['[]', /body/],
        ['{', /no JSON/],
        [`{"deadline_ms": ${' '.repeat(5_000)}1}`, /larger than 4096 bytes/],
      ] as const) {
        const answer = await call(harness, 'POST', '/drain', body)
        assert.equal(answer.status, 400, body.slice(0, 40))
        assert.match(String(answer.body['detail']), wrong)
      }
      assert.equal((await harness.status())['isDraining'], false)
      assert.equal((await call(harness, 'POST', '/undrain')).status, 200, 'nothing to take back is no error')
    } finally {
      await harness.stop()
    }
  })

  test('tells where a controller is, whichever shard is asked', async () => {
    const cluster = await startCluster(2)
    try {
      const [here, there] = [cluster.shards[0]!, cluster.shards[1]!]
      const known = cluster.controllerOf(here)
      const { controllerId } = known.record
      const device = await here.online(known)
      const found = await call(here, 'GET', `/where/${controllerId}`)
      const { epoch } = device.registered as unknown as { epoch: number }
      assert.deepEqual(found.body, {
        controllerId,
        shard: 'gateway-0',
        tunnel: { epoch, dialect: 'v1', isLeaving: false },
        owner: 'gateway-0',
        presence: { shard: 'gateway-0', epoch, isMoving: false },
      })
      const asked = await call(there, 'GET', `/where/${controllerId}`)
      assert.equal(asked.body['tunnel'], null)
      assert.deepEqual(asked.body['presence'], found.body['presence'])
      assert.equal((await call(there, 'GET', '/where/boiler')).status, 400)
    } finally {
      await cluster.stop()
    }
  })

  test('the status says who this is, since when, and what it has done', async () => {
    const harness = await startHarness()
    try {
      const known = harness.controlPlane.addController()
      const person = await harness.controlPlane.addPerson()
      harness.controlPlane.grant(person, known.record.controllerId)
      assert.equal((await harness.api(person, known.record.controllerId)).status, 503)
      const device = await harness.online(known)
      device.serve(() => ({ body: 'fine' }))
      for (let count = 0; count < 3; count++) await harness.api(person, known.record.controllerId)
      const stranger = await harness.connect()
      stranger.send({
        type: 'register',
        credentials: { controller_id: known.record.controllerId, secret: 'x'.repeat(43) },
      })
      await stranger.closed
      const status = await harness.status()
      assert.deepEqual(status['totals'], { requests: 4, failed: 0, offline: 1, registrations: 1, refused: 1 })
      assert.match(String(status['version']), /^\d+\.\d+\.\d+/)
      assert.ok(Date.parse(String(status['startedAt'])) <= Date.now())
      device.stop()
    } finally {
      await harness.stop()
    }
  })
})
