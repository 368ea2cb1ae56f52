import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { hmacSha256Hex } from '@wmoc/platform/ids'
import { ADDRESS, openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'

suite('credentials of controllers', () => {
  let under: ControllersUnderTest
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const recordOf = async (id: string) => {
    const { controllers } = await under.controllers.records.lookup({ ids: [id], labels: [] })
    return controllers[0]
  }
  const verifierOf = (secret: string) => hmacSha256Hex(under.kernel.config.DEVICE_CREDENTIAL_KEY, secret)
  const isAccepted = async (id: string, secret: string) =>
    (await recordOf(id))?.verifiers.includes(verifierOf(secret)) ?? false
  const owned = async () => {
    const user = await under.buildUser()
    const controller = await under.buildController(user)
    const actor = { userId: user.userId, remoteAddress: ADDRESS }
    return { ...controller, actor, rotate: () => under.controllers.service.rotate(actor, controller.id) }
  }
  const issue = async (id: string) => {
    const issued = await under.controllers.records.issue(id)
    assert.equal(issued.outcome, 'issued')
    return issued.outcome === 'issued' ? issued.secret : ''
  }

  test('a record is found by id and by label and carries the owner’s limit', async () => {
    const user = await under.buildUser({ tier: 'basic' })
    const { id, verifier } = await under.buildController(user)
    const byId = await recordOf(id)
    assert.equal(byId?.state, 'active')
    assert.deepEqual(byId?.verifiers, [verifier])
    assert.equal(byId?.requestsPerMinute, 3_000)
    assert.match(byId.pageLabel, /^[a-z2-7]{16}$/)
    const byLabel = await under.controllers.records.lookup({ ids: [], labels: [byId.pageLabel, 'nobody'] })
    assert.deepEqual(byLabel.controllers, [byId])
  })

  test('a rotation: asked, issued, used; the old secret works until then and not after', async () => {
    const { id, secret, rotate } = await owned()
    assert.deepEqual(await under.controllers.records.issue(id), { outcome: 'not_pending' })
    assert.equal((await rotate()).rotationPending, true)
    assert.equal((await recordOf(id))?.rotationPending, true)
    const next = await issue(id)
    assert.ok((await isAccepted(id, secret)) && (await isAccepted(id, next)))
    const { controller } = await under.controllers.records.promote(id, verifierOf(next))
    assert.deepEqual(controller.verifiers, [verifierOf(next)])
    assert.equal(controller.rotationPending, false)
    assert.equal(await isAccepted(id, secret), false)
  })

  test('D11: a power cut at any step leaves the device with a secret that is accepted', async () => {
    for (const cutAfter of [
      'asked',
      'issued',
      'issued twice',
      'asked again',
      'used',
      'used twice',
    ] as const) {
      const { id, secret, rotate } = await owned()
      /** What is on the device's flash; it writes the new secret when it has arrived whole. */
      let stored = secret
      await rotate()
      assert.ok(await isAccepted(id, stored), `after asked`)
      if (cutAfter === 'asked') continue
      await issue(id)
      assert.ok(await isAccepted(id, stored), 'issued, power cut before it was stored')
      if (cutAfter === 'issued') continue
      stored = await issue(id)
      assert.ok(await isAccepted(id, stored), 'issued again on the next connection, stored')
      if (cutAfter === 'issued twice') continue
      await rotate()
      await issue(id)
      assert.ok(await isAccepted(id, stored), 'asked again before the new one was used')
      if (cutAfter === 'asked again') continue
      await under.controllers.records.promote(id, verifierOf(stored))
      assert.ok(await isAccepted(id, stored), 'used')
      if (cutAfter === 'used') continue
      await under.controllers.records.promote(id, verifierOf(stored))
      assert.ok(await isAccepted(id, stored), 'used twice')
    }
  })

  test('a second rotation gives another secret than the first', async () => {
    const { id, rotate } = await owned()
    await rotate()
    const first = await issue(id)
    await under.controllers.records.promote(id, verifierOf(first))
    await rotate()
    assert.notEqual(await issue(id), first)
  })

  test('a verifier that is not the next one’s promotes nothing', async () => {
    const { id, secret, verifier, rotate } = await owned()
    await rotate()
    await issue(id)
    for (const wrong of [verifier, 'f'.repeat(64)]) {
      const { controller } = await under.controllers.records.promote(id, wrong)
      assert.equal(controller.verifiers.length, 2)
    }
    assert.ok(await isAccepted(id, secret))
  })

  test('D10: a deleted controller has no accepted secret, no name in any answer, and goes with all its rows', async () => {
    const { id, actor, rotate } = await owned()
    await rotate()
    await issue(id)
    await under.controllers.service.remove(actor, id)
    const record = await recordOf(id)
    assert.equal(record?.state, 'revoked')
    assert.deepEqual(record?.verifiers, [])
    assert.deepEqual(await under.controllers.records.issue(id), { outcome: 'not_pending' })
    await assert.rejects(under.controllers.service.get(actor.userId, id), { code: 'not_found' })
    await under.controllers.upkeep.purgeDeleted(id)
    assert.equal(await recordOf(id), undefined)
  })
})
