/** Faults at random under load, a few of them: the short form of `npm run chaos`. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { playChaos } from '../scripts/soak/chaos.ts'
import { useFleetStage } from './support/fleet-stage.ts'

suite('faults at random', () => {
  const on = useFleetStage({
    shards: 3,
    devices: 40,
    gatewayEnv: { DRAIN_WINDOW_MS: '300', DRAIN_DEADLINE_MS: '2000' },
  })

  test('break no promise: no wrong device, no POST twice, and all is well again after each', async () => {
    const report = await playChaos(on.stage, on.fleet, {
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
