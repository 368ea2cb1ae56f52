import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FLEET_SETTINGS, startFleet } from './fleet.ts'
import { startCluster } from './gateway.ts'
import { DIALECTS } from './subjects/wmoc.ts'

for (const dialect of DIALECTS) {
  test(
    `controllers of ${dialect} are counted, cut, and all of them come back`,
    { timeout: 120_000 },
    async () => {
      const cluster = await startCluster(1, FLEET_SETTINGS)
      const fleet = await startFleet(cluster, 20, dialect)
      assert.equal(await cluster.gateways[0]!.tunnels(), 20)
      const { backMs, perSecond, peakPerSecond } = await fleet.cut()
      assert.ok(backMs.p50 <= backMs.p99 && backMs.p99 <= backMs.max)
      assert.ok(perSecond > 0 && peakPerSecond > 0)
      assert.equal(await cluster.gateways[0]!.tunnels(), 20)
      await fleet.stop()
      await cluster.stop()
    },
  )
}
