/** Faults at random under load, a few of them: the short form of `npm run chaos`. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { playChaos } from '../scripts/soak/chaos.ts'
import { openRemoteFleet } from '../scripts/soak/remote-fleet.ts'
import type { RemoteFleet } from '../scripts/soak/remote-fleet.ts'
import { openStage } from '../scripts/soak/stage.ts'
import type { Stage } from '../scripts/soak/stage.ts'

suite('faults at random', { timeout: 240_000 }, () => {
  let stage: Stage
  let fleet: RemoteFleet

  before(async () => {
    stage = await openStage({
      shards: 3,
      gatewayEnv: { DRAIN_WINDOW_MS: '300', DRAIN_DEADLINE_MS: '2000' },
    })
    const url = `ws://localhost:${stage.stack.port}/tunnel`
    fleet = await openRemoteFleet(stage.state, url, await stage.provision(40))
    await fleet.start(100)
    await fleet.online(60_000)
  })
  after(async () => {
    await fleet?.stop()
    await stage?.stop()
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
