import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

let harness: Harness
before(async () => {
  harness = await startHarness()
})
after(() => harness.stop())

test('a controller that knows only the messages of the requirements works, byte for byte', async () => {
  harness.controlPlane.tokens.add('activation_token')
  const person = await harness.controlPlane.addPerson()
  const device = await harness.connect()
  device.send(
    '{"type":"register","token":"activation_token","credentials":{"mac":"AA:BB:CC:DD:EE:FF","firmware_version":"1.0"}}',
  )
  const { controllerId, epoch, serverTimeMs, credentials } = await device.next('registered')
  assert.equal(
    device.received[0],
    `{"type":"registered","controllerId":"${controllerId}","status":"active",` +
      `"credentials":{"controller_id":"${controllerId}","secret":"${credentials!.secret}"},` +
      `"epoch":${epoch},"heartbeatSec":25,"serverTimeMs":${serverTimeMs},` +
      '"limits":{"maxMessageBytes":262144,"maxStreams":4,"maxRequestBody":8192,"maxResponseBody":65536,"maxItemsPerBatch":500}}',
  )

  harness.controlPlane.grant(person, controllerId)
  const asked = harness.api(person, controllerId, {
    method: 'POST',
    path: '/api/status',
    headers: { 'content-type': 'application/json', accept: '*/*' },
    body: '{"on":true}',
  })
  const { id } = await device.next('http_request')
  assert.equal(
    device.received[1],
    `{"type":"http_request","id":"${id}","method":"POST","path":"/api/status",` +
      '"headers":{"content-length":"11","content-type":"application/json","x-forwarded-for":"127.0.0.1",' +
      `"x-forwarded-proto":"http","x-forwarded-host":"localhost:8080","x-forwarded-prefix":"/c/${controllerId}","accept":"*/*"},` +
      '"body":"{\\"on\\":true}"}',
  )
  device.send(
    `{"type":"http_response","id":"${id}","status":200,"headers":{"Content-Type":"application/json"},"body":"{\\"ok\\":1}"}`,
  )
  const answer = await asked
  assert.equal(answer.status, 200)
  assert.equal(answer.text, '{"ok":1}')
  assert.equal(answer.headers['content-length'], '8')
  assert.equal(answer.headers['content-type'], 'application/json')
  assert.equal(device.received.length, 2)
})
