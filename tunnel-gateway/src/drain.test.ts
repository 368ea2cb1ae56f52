import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { startHarness, until } from '#src/testing/harness.ts'

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
      assert.equal((await harness.status())['isDraining'], true)
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
      device.send({
        type: 'http_response',
        id: request.id,
        status: 200,
        headers: {},
        body: 'endless',
        more: true,
      })
      await until(async () => (await harness.status())['inFlight'] === 1)
      await harness.gateway.lifecycle.stop()
      assert.equal((await asked).isCut, true)
      assert.equal((await device.closed).code, 1012)
    } finally {
      await harness.stop()
    }
  })
})
