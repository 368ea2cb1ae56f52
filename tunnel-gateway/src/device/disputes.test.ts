import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import { startCluster } from '#src/testing/cluster.ts'
import type { KnownController } from '#src/testing/control-plane-server.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'

function register(shard: Harness, { record, secret }: KnownController, extra = {}) {
  return shard.connect().then((device) => {
    device.send({ type: 'register', credentials: { controller_id: record.controllerId, secret, ...extra } })
    return device
  })
}

suite('controllers that no shard takes for a while', () => {
  test('D9: two copies of one credential are refused by all shards, and an honest device that moves is not', async () => {
    const cluster = await startCluster(2)
    try {
      const known = cluster.controlPlane.addController()
      const codes: number[] = []
      for (let round = 0; round < 10 && !codes.includes(4423); round += 1) {
        const boot_id = round % 2 === 0 ? 'one' : 'two'
        const device = await register(cluster.shards[round % 2]!, known, { boot_id })
        void device.closed.then(({ code }) => codes.push(code))
        await Promise.race([device.next('registered'), device.closed])
      }
      await until(() => codes.includes(4423))
      for (const shard of cluster.shards) {
        const refused = await register(shard, known, { boot_id: 'three' })
        assert.ok((await refused.next('error')).reconnectAfterMs! > 20_000)
        assert.equal((await refused.closed).code, 4423)
      }
      await until(() =>
        cluster.controlPlane.events.some(
          (event) => event.type === 'auth_failed' && event.reason === 'conflict',
        ),
      )

      const honest = cluster.controlPlane.addController()
      for (let round = 0; round < 12; round += 1) {
        const device = await register(cluster.shards[round % 2]!, honest, { boot_id: 'same' })
        await device.next('registered')
      }
    } finally {
      await cluster.stop()
    }
  })

  test('F16: a device that breaks what handles it loses its socket, then is kept out; others go on', async () => {
    const silent = createLogger({ process: 'gateway', level: 'silent' })
    // Stands for a fault in what handles a device's answer.
    const faulty = {
      ...silent,
      debug(category: string, words: string) {
        if (words.includes('policy')) throw new TypeError(`${category} is broken`)
      },
    }
    const harness = await startHarness({}, faulty)
    try {
      const known = harness.controlPlane.addController()
      const other = harness.controlPlane.addController()
      const person = await harness.controlPlane.addPerson()
      for (const { record } of [known, other]) harness.controlPlane.grant(person, record.controllerId)
      const neighbour = await onlineV2(harness.port, other)
      neighbour.serve((one) => answer(one, 'fine'))
      const poisonous = [
        async () => {
          const device = await onlineV2(harness.port, known)
          device.serve((one) => answer(one, 'x', 999))
          return device
        },
        async () => {
          const device = await harness.online(known)
          device.serve(() => ({ status: 999 }))
          return device
        },
      ]
      for (const start of poisonous) {
        const device = await start()
        const asked = harness.api(person, known.record.controllerId)
        assert.equal((await device.closed).code, 4503)
        assert.equal((await asked).status, 502)
        assert.equal((await harness.api(person, other.record.controllerId)).text, 'fine')
      }
      await until(() =>
        harness.controlPlane.events.some(
          (event) => event.type === 'auth_failed' && event.reason === 'quarantined',
        ),
      )
      const refused = await register(harness, known)
      assert.ok((await refused.next('error')).reconnectAfterMs! > 500_000)
      assert.equal((await refused.closed).code, 4503)
      neighbour.stop()
    } finally {
      await harness.stop()
    }
  })
})
