/** kill -9 of one shard of three: its controllers come back elsewhere, and nobody else notices. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { killShard } from '../scripts/soak/killed.ts'
import { useFleetStage } from './support/fleet-stage.ts'

suite('kill -9 of a shard', () => {
  const on = useFleetStage({ shards: 3, devices: 90 })

  test('F5: its controllers are back, requests that met neither it nor them are all answered', async () => {
    const report = await killShard(on.stage, on.fleet, {
      victim: 'gateway-1',
      load: { perSecond: 60 },
      restMs: 2_000,
      timeoutMs: 60_000,
      inFlight: 12,
    })
    assert.ok(report.lost > 10)
    assert.deepEqual([report.otherFailures, report.lateFailures], [[], []])
    assert.deepEqual([report.notBack, report.repeated, report.invariants], [0, [], []])
    // T20: what was under way through it ends as broken, never as whole.
    assert.equal(report.inFlight.whole, 0)
    assert.equal(report.inFlight.cut, 12)
  })

  test('F5: a shard that comes back in its place is taken into the ring again', async () => {
    await on.stage.stack.restart('gateway-1')
    const [back] = on.stage.stack.gateways().filter(({ name }) => name === 'gateway-1')
    const [device] = on.fleet.devices
    const answer = await on.stage.ask(back!.port, device!.controller_id, '/get/again')
    assert.equal(answer.text, `${device!.controller_id} /get/again`)
    assert.deepEqual(await on.stage.invariants(), [])
  })
})
