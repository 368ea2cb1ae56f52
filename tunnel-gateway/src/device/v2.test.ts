import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'

suite('dialect v2', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  async function served(hello: Parameters<typeof onlineV2>[2] = {}) {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const device = await onlineV2(harness.port, known, hello)
    const ask = (given = {}) => harness.api(person, known.record.controllerId, given)
    return { device, ask, known, person, id: known.record.controllerId }
  }

  test('a request and its answer, with bodies', async () => {
    const { device, ask } = await served()
    const asked = ask({ method: 'POST', path: '/a?b=c', body: 'hello' })
    const one = await device.nextRequest()
    assert.equal(one.request.method, 'POST')
    assert.equal(one.request.path, '/a?b=c')
    await until(() => one.log.includes('end'))
    assert.equal(Buffer.concat(one.body).toString(), 'hello')
    answer(one, 'fine', 201, ['x-a', 'b', 'set-cookie', 'c=d', 'set-cookie', 'e=f'])
    const got = await asked
    assert.deepEqual([got.status, got.text, got.headers['x-a']], [201, 'fine', 'b'])
    await until(() => one.log.includes('over'))
    assert.deepEqual(device.faults, [])
  })
})
