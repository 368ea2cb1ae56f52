import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { ADDRESS, describeDevice, listAll, openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import { insertMember } from '#src/testing/plain-rows.ts'
import type { PlainUser } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { UserCode } from './contract.ts'
import { CODE_TTL_MS, MAX_CODE_TRIES, MAX_WRONG_CODES, WRONG_CODES_WINDOW_MS } from './policy.ts'

suite('activation by a code', () => {
  let under: ControllersUnderTest
  let address = 0
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const open = async (device: Partial<DeviceDescription> = {}) => {
    const opened = await under.controllers.codes.open({ device: describeDevice(device) })
    assert.equal(opened.outcome, 'opened')
    if (opened.outcome !== 'opened') throw new Error('unreachable')
    return { ...opened, code: UserCode.parse(opened.userCode) }
  }
  /** Each asks from an address of its own, so that one test's guesses don't count for the next. */
  const claimant = (user: PlainUser) => ({
    userId: user.userId,
    remoteAddress: `198.51.100.${address++ % 250}`,
  })

  test('a code is shown, looked at, confirmed and collected once', async () => {
    const user = await under.buildUser()
    const claim = await open({ mac: 'AA:BB:CC:DD:4A:F0', model: 'Relay 2' })
    assert.match(claim.userCode, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
    assert.equal(claim.verificationUriComplete, `http://localhost:8080/activate#${claim.userCode}`)
    const { claimId, claimSecret } = claim
    assert.deepEqual(await under.controllers.codes.collect({ claimId, claimSecret }), { outcome: 'waiting' })
    const preview = await under.controllers.codes.preview(claim.code, {
      userId: user.userId,
      remoteAddress: ADDRESS,
    })
    assert.equal(preview.macTail, '4A:F0')
    assert.equal(preview.samePublicAddress, true)
    const controller = await under.controllers.codes.confirm(claim.code, undefined, claimant(user))
    assert.equal(controller.name, 'Relay 2 4A:F0')
    assert.equal(controller.isActive, true)
    const collected = await under.controllers.codes.collect({ claimId, claimSecret })
    assert.equal(collected.outcome, 'issued')
    assert.equal(collected.outcome === 'issued' && collected.controller.controllerId, controller.id)
    assert.deepEqual(await under.controllers.codes.collect({ claimId, claimSecret }), { outcome: 'gone' })
  })

  test('the waiting gateway is told when a code is confirmed', async () => {
    const user = await under.buildUser()
    const claim = await open()
    const heard: string[] = []
    const end = await under.kernel.store.subscribe(GATEWAY_CHANNEL, (message) => heard.push(message))
    await under.controllers.codes.confirm(claim.code, 'Pump', claimant(user))
    await under.kernel.store.ping()
    await waitFor(() => heard.some((message) => message.includes(claim.claimId)))
    await end()
    assert.ok(heard.includes(JSON.stringify({ type: 'claim_confirmed', claimId: claim.claimId })))
  })

  test('collecting needs the secret of the claim; of many collectors one is issued', async () => {
    const user = await under.buildUser()
    const { claimId, claimSecret, code } = await open()
    await under.controllers.codes.confirm(code, undefined, claimant(user))
    const wrong = await under.controllers.codes.collect({ claimId, claimSecret: 'x'.repeat(43) })
    assert.deepEqual(wrong, { outcome: 'gone' })
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => under.controllers.codes.collect({ claimId, claimSecret })),
    )
    assert.equal(outcomes.filter((outcome) => outcome.outcome === 'issued').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome.outcome === 'gone').length, 9)
  })

  test('of many people who confirm one code at once exactly one gets the controller', async () => {
    for (let round = 0; round < 5; round++) {
      const people = await Promise.all(Array.from({ length: 4 }, () => under.buildUser()))
      // Without a MAC nothing but the code itself keeps them apart.
      const { code } = await open({ mac: null })
      const outcomes = await Promise.allSettled(
        people.map((person) => under.controllers.codes.confirm(code, undefined, claimant(person))),
      )
      assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1)
      const lists = await Promise.all(people.map((person) => listAll(under, person)))
      assert.equal(lists.flat().length, 1)
    }
  })

  test('D1: who comes with an owned MAC and no secret is asked to be claimed like anybody, and gets nothing', async () => {
    const owner = await under.buildUser()
    const { id, verifier } = await under.buildController(owner, { mac: '02:00:00:00:01:01' })
    const { claimId, claimSecret, ...told } = await open({ mac: '02:00:00:00:01:01' })
    const { claimId: otherId, claimSecret: otherSecret, ...toldOther } = await open()
    assert.deepEqual(Object.keys(told), Object.keys(toldOther))
    assert.notEqual(claimId + claimSecret, otherId + otherSecret)
    assert.deepEqual(await under.controllers.codes.collect({ claimId, claimSecret }), { outcome: 'waiting' })
    const { controllers } = await under.controllers.records.lookup({ ids: [id], labels: [] })
    assert.deepEqual(controllers[0]?.verifiers, [verifier])
  })

  test('D5: a code that has run out is neither confirmed nor collected', async () => {
    const user = await under.buildUser()
    const { claimId, claimSecret, code } = await open()
    under.advance(CODE_TTL_MS + 1)
    await assert.rejects(under.controllers.codes.confirm(code, undefined, claimant(user)), {
      code: 'code_invalid',
    })
    assert.deepEqual(await under.controllers.codes.collect({ claimId, claimSecret }), { outcome: 'gone' })
  })

  test('D6: a code dies when more than five people have looked at it; one person may look again', async () => {
    const { code } = await open()
    for (let count = 0; count < MAX_CODE_TRIES; count++) {
      const person = await under.buildUser()
      await under.controllers.codes.preview(code, claimant(person))
      await under.controllers.codes.preview(code, claimant(person))
    }
    const sixth = await under.buildUser()
    await assert.rejects(under.controllers.codes.preview(code, claimant(sixth)), { code: 'code_invalid' })
    await assert.rejects(under.controllers.codes.confirm(code, undefined, claimant(sixth)), {
      code: 'code_invalid',
    })
  })

  test('D6: who guesses wrong ten times in an hour guesses no more, by person and by address', async () => {
    const guesser = await under.buildUser()
    for (let count = 0; count < MAX_WRONG_CODES; count++) {
      await assert.rejects(under.controllers.codes.preview('BBBBBBBB', claimant(guesser)), {
        code: 'code_invalid',
      })
    }
    const { code } = await open()
    await assert.rejects(under.controllers.codes.preview(code, claimant(guesser)), {
      code: 'rate_limited',
      retryAfterMs: WRONG_CODES_WINDOW_MS,
    })
    const shared = { remoteAddress: '2001:db8:1:2::1' }
    for (let count = 0; count < MAX_WRONG_CODES; count++) {
      const { userId } = await under.buildUser()
      await assert.rejects(under.controllers.codes.preview('BBBBBBBB', { ...shared, userId }), {
        code: 'code_invalid',
      })
    }
    const { userId } = await under.buildUser()
    const neighbour = { userId, remoteAddress: '2001:db8:1:2:ffff::9' }
    await assert.rejects(under.controllers.codes.preview(code, neighbour), { code: 'rate_limited' })
  })

  test('D6: guesses at the same time are not answered side by side', async () => {
    const guesser = await under.buildUser()
    const guesses = Array.from({ length: 30 }, () =>
      under.controllers.codes.preview('BBBBBBBB', claimant(guesser)),
    )
    const outcomes = await Promise.allSettled(guesses)
    const answered = outcomes.filter(
      (outcome) => outcome.status === 'rejected' && outcome.reason.code === 'code_invalid',
    )
    assert.ok(answered.length <= MAX_WRONG_CODES)
  })

  test('D7: the preview says when device and browser are in different networks', async () => {
    const user = await under.buildUser()
    const { code } = await open({ remoteAddress: '192.0.2.200' })
    const preview = await under.controllers.codes.preview(code, {
      userId: user.userId,
      remoteAddress: ADDRESS,
    })
    assert.equal(preview.samePublicAddress, false)
  })

  test('U16: of N + 50 codes confirmed in parallel exactly N succeed', async () => {
    const user = await under.buildUser()
    const claims = await Promise.all(
      Array.from({ length: 53 }, (_, index) => open({ remoteAddress: `192.0.2.${index}` })),
    )
    const colleagues = await Promise.all(
      claims.map(async () => {
        const { userId } = await under.buildUser()
        await rows(under.kernel.db, 'DELETE FROM memberships WHERE user_id = $userId', { userId })
        await insertMember(under.kernel.db, user.workspaceId, userId, 'admin')
        return { userId, remoteAddress: ADDRESS }
      }),
    )
    const outcomes = await Promise.allSettled(
      claims.map(({ code }, index) => under.controllers.codes.confirm(code, undefined, colleagues[index]!)),
    )
    assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 3)
    const refusals = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [(outcome.reason as { code: string }).code] : [],
    )
    assert.deepEqual([...new Set(refusals)], ['tier_limit_reached'])
    assert.equal((await listAll(under, user)).length, 3)
  })

  test('D4: a device whose MAC somebody else owns can’t be claimed', async () => {
    const [owner, other] = await Promise.all([under.buildUser(), under.buildUser()])
    await under.buildController(owner, { mac: '02:00:00:00:01:04' })
    const { code } = await open({ mac: '02:00:00:00:01:04' })
    await assert.rejects(under.controllers.codes.confirm(code, undefined, claimant(other)), {
      code: 'mac_taken',
    })
    assert.equal((await listAll(under, other)).length, 0)
  })

  test('the owner’s device that lost its secret is claimed again as the same controller', async () => {
    const user = await under.buildUser()
    const first = await under.buildController(user, { mac: '02:00:00:00:01:05' })
    const { claimId, claimSecret, code } = await open({ mac: '02:00:00:00:01:05' })
    const controller = await under.controllers.codes.confirm(code, undefined, claimant(user))
    assert.equal(controller.id, first.id)
    const stillOld = await under.controllers.records.lookup({ ids: [first.id], labels: [] })
    assert.deepEqual(stillOld.controllers[0]?.verifiers, [first.verifier])
    const collected = await under.controllers.codes.collect({ claimId, claimSecret })
    assert.ok(collected.outcome === 'issued' && !collected.controller.verifiers.includes(first.verifier))
  })

  test('one address can’t fill the installation with codes', async () => {
    const device = () => describeDevice({ remoteAddress: '192.0.2.251' })
    const outcomes = []
    for (let count = 0; count < 61; count++)
      outcomes.push(await under.controllers.codes.open({ device: device() }))
    assert.ok(outcomes.slice(0, 60).every((outcome) => outcome.outcome === 'opened'))
    assert.deepEqual(outcomes[60], { outcome: 'refused', reason: 'busy' })
  })

  test('D15: neither a code nor the secret of its claim is in the database', async () => {
    const claim = await open()
    const row = await firstRow<{ text: string }>(
      under.kernel.db,
      'SELECT to_jsonb(d)::text AS text FROM device_claims d WHERE id = $id',
      { id: claim.claimId },
    )
    assert.ok(!row!.text.includes(claim.code) && !row!.text.includes(claim.claimSecret))
  })
})
