/** A connection that stops carrying anything without being closed: found by the heartbeat, and nobody hangs meanwhile. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { useFleetStage } from './support/fleet-stage.ts'
import { eventually } from './support/stack.ts'

suite('a half-open tunnel', () => {
  // A tenth of the usual times.
  const on = useFleetStage({
    shards: 2,
    devices: 8,
    gatewayEnv: { HEARTBEAT_MS: '2500', FIRST_BYTE_TIMEOUT_MS: '3000' },
  })

  async function tunnels(): Promise<number> {
    const statuses = await Promise.all(
      on.stage.stack.gateways().map(({ adminPort }) => on.stage.status(adminPort)),
    )
    return statuses.reduce((sum, status) => sum + status.tunnels, 0)
  }
  const ask = (id: string) => on.stage.ask(on.stage.stack.gateways()[0]!.port, id, '/get/x')

  test('T18: in every dialect it is found and removed, and who asks meanwhile is answered', async () => {
    assert.equal(await tunnels(), 8)
    const frozen = on.fleet.devices.slice(0, 4)
    // Two pings were answered by then: a device that never answers one is given more time.
    await new Promise((resolve) => setTimeout(resolve, 3_500))
    await Promise.all(frozen.map(({ controller_id }) => on.fleet.freeze(controller_id)))
    const answers = await Promise.all(frozen.map(({ controller_id }) => ask(controller_id)))
    for (const { status } of answers)
      assert.ok(status === 502 || status === 503 || status === 504, String(status))
    await eventually(async () => (await tunnels()) === 4, 'the frozen tunnels gone', 120_000)
    const gone = await Promise.all(frozen.map(({ controller_id }) => ask(controller_id)))
    // One that may resume is waited for a little longer.
    for (const { text } of gone) assert.match(text, /device_(offline|disconnected)/)
    for (const { controller_id } of on.fleet.devices.slice(4))
      assert.equal((await ask(controller_id)).text, `${controller_id} /get/x`)
  })

  test('T18: the device is welcome again with a new connection', async () => {
    const frozen = on.fleet.devices.slice(0, 4)
    await Promise.all(frozen.map(({ controller_id }) => on.fleet.cut(controller_id)))
    await eventually(async () => (await tunnels()) === 8, 'all back', 120_000)
    for (const { controller_id } of frozen)
      await eventually(
        async () => (await ask(controller_id)).text === `${controller_id} /get/x`,
        'an answer of the right device',
      )
  })
})
