import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { ADDRESS, describeDevice, listAll, openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import { TOKEN_TTL_MS } from './policy.ts'

suite('activation by a token', () => {
  let under: ControllersUnderTest
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const tokenOf = async (userId: string, name?: string) =>
    under.controllers.tokens.createToken({ userId, name, remoteAddress: ADDRESS })
  const redeem = (token: string, device = describeDevice()) =>
    under.controllers.tokens.redeem({ token, device })

  test('a token makes its pending controller active and gives the device a secret', async () => {
    const user = await under.buildUser()
    const made = await tokenOf(user.userId, 'Boiler room')
    assert.equal(made.controller.status, 'pending')
    assert.equal(made.controller.isActive, false)
    assert.equal(made.qr, `http://localhost:8080/activate#token=${made.token}`)
    assert.equal(made.tunnelUrl, 'ws://localhost:8080/tunnel')
    const device = describeDevice({ mac: 'AA:BB:CC:00:00:01', metadata: { heap: 180_000 } })
    const redeemed = await redeem(made.token, device)
    assert.equal(redeemed.outcome, 'issued')
    assert.equal(redeemed.outcome === 'issued' && redeemed.controller.controllerId, made.controller.id)
    const [controller] = await listAll(under, user)
    assert.equal(controller?.name, 'Boiler room')
    assert.equal(controller?.status, 'offline')
    assert.equal(controller?.macAddress, 'AA:BB:CC:00:00:01')
    assert.deepEqual(controller?.deviceMetadata, { heap: 180_000 })
  })

  test('D15: what is stored opens nothing: neither the token nor the secret is in any table', async () => {
    const user = await under.buildUser()
    const made = await tokenOf(user.userId)
    const redeemed = await redeem(made.token)
    assert.equal(redeemed.outcome, 'issued')
    const dump = await rows<{ row: string }>(
      under.kernel.db,
      `SELECT to_jsonb(c)::text AS row FROM controllers c UNION ALL SELECT to_jsonb(e)::text FROM domain_events e
       UNION ALL SELECT to_jsonb(a)::text FROM audit_log a`,
      {},
    )
    const text = dump.map((entry) => entry.row).join('\n')
    assert.ok(!text.includes(made.token))
    assert.ok(redeemed.outcome === 'issued' && !text.includes(redeemed.secret))
  })

  test('a controller without a name is called after the device that came', async () => {
    const user = await under.buildUser()
    await redeem(
      (await tokenOf(user.userId)).token,
      describeDevice({ mac: 'AA:BB:CC:DD:4A:F0', model: 'Relay 2' }),
    )
    assert.equal((await listAll(under, user))[0]?.name, 'Relay 2 4A:F0')
  })

  test('D5: a token that is used, unknown or too old is refused by the server’s time', async () => {
    const user = await under.buildUser()
    const used = await tokenOf(user.userId)
    await redeem(used.token)
    assert.deepEqual(await redeem(used.token), { outcome: 'refused', reason: 'invalid' })
    assert.deepEqual(await redeem('never made'), { outcome: 'refused', reason: 'invalid' })
    const late = await tokenOf(user.userId)
    under.advance(TOKEN_TTL_MS + 1)
    assert.deepEqual(await redeem(late.token), { outcome: 'refused', reason: 'expired' })
  })

  test('D3: of two devices with one token in the same millisecond exactly one wins, 200 rounds', async () => {
    const user = await under.buildUser({ tier: 'premium' })
    for (let round = 0; round < 200; round++) {
      const { token, controller } = await tokenOf(user.userId)
      const outcomes = await Promise.all([redeem(token), redeem(token)])
      const winners = outcomes.filter((outcome) => outcome.outcome === 'issued')
      const losers = outcomes.filter((outcome) => outcome.outcome === 'refused')
      assert.equal(winners.length, 1)
      assert.deepEqual(losers, [{ outcome: 'refused', reason: 'invalid' }])
      const row = await firstRow<{ count: number }>(
        under.kernel.db,
        'SELECT count(*)::int AS count FROM controllers WHERE id = $id AND is_active',
        { id: controller.id },
      )
      assert.equal(row?.count, 1)
    }
  })

  test('D4: a MAC that somebody else owns is refused and tells nothing; the token stays usable', async () => {
    const [owner, other] = await Promise.all([under.buildUser(), under.buildUser()])
    const { id } = await under.buildController(owner, { mac: '02:00:00:00:00:04' })
    const { token } = await tokenOf(other.userId)
    assert.deepEqual(await redeem(token, describeDevice({ mac: '02:00:00:00:00:04' })), {
      outcome: 'refused',
      reason: 'mac_taken',
    })
    assert.equal((await redeem(token)).outcome, 'issued')
    assert.deepEqual(
      (await listAll(under, owner)).map((controller) => controller.id),
      [id],
    )
  })

  test('D4: two people race for one MAC: one wins, the other is refused, nothing breaks', async () => {
    for (let round = 0; round < 20; round++) {
      const people = await Promise.all([under.buildUser(), under.buildUser()])
      const tokens = await Promise.all(people.map((person) => tokenOf(person.userId)))
      const device = describeDevice()
      const outcomes = await Promise.all(tokens.map(({ token }) => redeem(token, device)))
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.outcome === 'issued' ? 'issued' : outcome.reason)).toSorted(),
        ['issued', 'mac_taken'],
      )
    }
  })

  test('D12: the owner’s own device comes back after a factory reset as the same controller with a new secret', async () => {
    const user = await under.buildUser()
    const first = await under.buildController(user, { mac: '02:00:00:00:00:12' })
    const earlier = await under.controllers.records.lookup({ ids: [first.id], labels: [] })
    const again = await under.buildController(user, { mac: '02:00:00:00:00:12' })
    const { controllers } = await under.controllers.records.lookup({ ids: [first.id], labels: [] })
    assert.equal(again.id, first.id)
    assert.deepEqual(controllers[0]?.verifiers, [again.verifier])
    assert.notEqual(again.verifier, first.verifier)
    assert.equal(controllers[0]?.accessEpoch, earlier.controllers[0]!.accessEpoch + 1)
    assert.equal((await listAll(under, user)).length, 1)
  })

  test('U16: of N + 50 activations in parallel exactly N succeed', async () => {
    const user = await under.buildUser()
    const tokens = await Promise.all(Array.from({ length: 53 }, () => tokenOf(user.userId)))
    const outcomes = await Promise.all(tokens.map(({ token }) => redeem(token)))
    const reasons = outcomes.map((outcome) => (outcome.outcome === 'issued' ? 'issued' : outcome.reason))
    assert.equal(reasons.filter((reason) => reason === 'issued').length, 3)
    assert.equal(reasons.filter((reason) => reason === 'limit_reached').length, 50)
    const active = (await listAll(under, user)).filter((controller) => controller.isActive)
    assert.equal(active.length, 3)
    await assert.rejects(tokenOf(user.userId), { code: 'tier_limit_reached' })
  })

  test('a paid tier that has run out counts as free', async () => {
    const user = await under.buildUser({ tier: 'basic' })
    for (let count = 0; count < 4; count++) await under.buildController(user)
    await rows(
      under.kernel.db,
      `UPDATE users SET subscription_expires_at = now() - interval '1 minute' WHERE id = $id RETURNING id`,
      { id: user.userId },
    )
    await assert.rejects(tokenOf(user.userId), { code: 'tier_limit_reached' })
  })

  test('strings of a hostile device are stored as text, cut to their columns', async () => {
    const user = await under.buildUser()
    const metadata = JSON.parse(
      '{"__proto__":{"x":1},"note":"a\\u0000b\\ud800","secret":"s3cret"}',
    ) as Record<string, string>
    const { id } = await under.buildController(user, { model: `<b>\0${'m'.repeat(300)}`, metadata })
    const controller = await under.controllers.service.get(user.userId, id)
    assert.equal(controller.model?.length, 100)
    assert.equal(controller.deviceMetadata['note'], 'a\uFFFDb\uFFFD')
    assert.ok(!('secret' in controller.deviceMetadata))
    assert.equal(({} as Record<string, unknown>)['x'], undefined)
  })
})
