import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { openStore } from '@wmoc/platform/open-store'
import { createLogger } from '@wmoc/platform/log'
import { testRedis } from '@wmoc/testkit/redis'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

suite('the shared store away', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  test('F2, F3: tunnels and requests go on, registrations are sent away with 1013, and presence is told again', async () => {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const device = await harness.online(known)
    device.serve(() => ({ body: 'fine' }))
    assert.equal((await harness.api(person, known.record.controllerId)).text, 'fine')

    await harness.redis.stop()
    const newcomer = harness.controlPlane.addController()
    const refused = await harness.connect()
    refused.send({
      type: 'register',
      credentials: { controller_id: newcomer.record.controllerId, secret: newcomer.secret },
    })
    assert.ok((await refused.next('error')).reconnectAfterMs! > 0)
    assert.equal((await refused.closed).code, 1013)
    assert.equal((await harness.api(person, known.record.controllerId)).text, 'fine')

    // Empty, as after a failover that lost everything.
    const fresh = await testRedis({ port: harness.redis.port })
    try {
      const store = openStore({
        url: fresh.url,
        log: createLogger({ process: 'test', level: 'silent' }),
        name: 'test',
      })
      await until(
        async () =>
          (await store.getPresence([known.record.controllerId]))[0]?.epoch === device.registered.epoch,
      )
      const back = await harness.online(newcomer)
      assert.ok(back.registered.epoch > 0)
      const newer = await harness.online(known)
      assert.ok(newer.registered.epoch > device.registered.epoch)
      // Another shard took the controller over while this one was not looking.
      await store.claimPresence(newcomer.record.controllerId, { shard: 'other', atLeast: 0, ttlMs: 60_000 })
      assert.equal(
        (
          await Promise.race([
            back.closed,
            new Promise<{ code: number }>((resolve) => setTimeout(resolve, 60_000, { code: 0 }).unref()),
          ])
        ).code,
        4409,
      )
      await store.close()
    } finally {
      await harness.gateway.lifecycle.stop()
      await fresh.stop()
    }
  })
})
