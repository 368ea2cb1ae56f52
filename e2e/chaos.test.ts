/** Faults at random under load, a few of them: the short form of `npm run chaos`. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { playChaos } from '../scripts/soak/chaos.ts'
import { openFleetStage } from '../scripts/soak/fleet-stage.ts'
import type { FleetStage } from '../scripts/soak/fleet-stage.ts'
import type { RemoteFleet } from '../scripts/soak/remote-fleet.ts'
import type { Stage } from '../scripts/soak/stage.ts'

suite('faults at random', { timeout: 240_000 }, () => {
  let opened: FleetStage | undefined
  let stage: Stage
  let fleet: RemoteFleet

  before(async () => {
    opened = await openFleetStage({
      shards: 3,
      devices: 40,
      gatewayEnv: { DRAIN_WINDOW_MS: '300', DRAIN_DEADLINE_MS: '2000' },
    })
    ;({ stage, fleet } = opened)
  })
  after(async () => {
    await opened?.stop()
  })

  test('break no promise: no wrong device, no POST twice, and all is well again after each', async () => {
    const report = await playChaos(stage, fleet, {
      seed: 4,
      count: 6,
      perSecond: 40,
      only: ['cut', 'store flushed', 'replace', 'kill', 'half-open', 'pause'],
    })
    assert.deepEqual(report.broken, [])
    assert.equal(report.faults.length, 6)
    assert.ok(report.load.requests > 200)
  })
})
