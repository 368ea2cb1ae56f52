import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { sha256Hex } from '@wmoc/platform/ids'
import type { ControlPlaneInput } from '@wmoc/protocol/control-plane'
import { rows } from '#src/kernel/rows.ts'
import { ADDRESS, describeDevice, listAll, openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import type { PlainUser } from '#src/testing/plain-rows.ts'

type Input = ControlPlaneInput<'enrolments/declare'>

const DAY_MS = 86_400_000
let under: ControllersUnderTest
let owner: PlainUser
let macs = 0
let names = 0

const freshMac = () =>
  `02:00:00:00:${(macs >> 8).toString(16).padStart(2, '0')}:${(macs++ & 255).toString(16).padStart(2, '0')}`.toUpperCase()
/** A declaration of an object of its own. */
const declaration = (more: Partial<Input> = {}): Input => ({
  namespace: 'site',
  name: `controller-${names++}`,
  mac: freshMac(),
  owner: owner.email,
  displayName: 'Boiler room',
  tags: ['site:spb-1'],
  sharedWith: [],
  suspended: false,
  activation: { tokenHash: null },
  ...more,
})
const declare = (input: Input) => under.controllers.enrolments.declare(input)
async function enrol(input: Input) {
  const answer = await declare(input)
  assert.ok(answer.outcome === 'enrolled', JSON.stringify(answer))
  return answer
}
async function refusal(input: Input) {
  const answer = await declare(input)
  assert.ok(answer.outcome === 'refused', JSON.stringify(answer))
  assert.ok(answer.detail.length > 20)
  return answer.reason
}
const redeem = (token: string, mac: string) =>
  under.controllers.tokens.redeem({ token, device: describeDevice({ mac }) })
async function enrolActive(more: Partial<Input> = {}) {
  const input = declaration(more)
  const { activation, controllerId } = await enrol(input)
  const redeemed = await redeem(activation!.token, input.mac)
  assert.equal(redeemed.outcome, 'issued')
  return { input, controllerId }
}
const stateOf = async (id: string) =>
  (await under.controllers.records.lookup({ ids: [id], labels: [] })).controllers[0]?.state
const count = async (table: string) =>
  (await rows<{ n: number }>(under.kernel.db, `SELECT count(*)::int AS n FROM ${table}`, {}))[0]!.n
const nameIn = async (user: PlainUser, id: string) => under.controllers.service.get(user.userId, id)

suite('declared controllers', () => {
  before(async () => {
    under = await openControllers()
    owner = await under.buildUser({ tier: 'premium' })
  })
  after(() => under.close())

  test('wait for the device with their MAC, which gets in with the token', async () => {
    const input = declaration({ sharedWith: [] })
    const { activation, ...waiting } = await enrol(input)
    assert.deepEqual([waiting.state, waiting.registered, waiting.drift], ['pending', false, []])
    assert.ok(activation!.activateUrl.endsWith(`#token=${activation!.token}`))
    assert.match(activation!.tunnelUrl, /^ws/)
    assert.equal((await redeem(activation!.token, freshMac())).outcome, 'refused')
    const redeemed = await redeem(activation!.token, input.mac)
    assert.ok(redeemed.outcome === 'issued' && redeemed.controller.controllerId === waiting.controllerId)
    const known = await enrol(input)
    assert.deepEqual(
      [known.controllerId, known.state, known.registered, known.activation, known.firmwareVersion],
      [waiting.controllerId, 'offline', true, null, '1.0.0'],
    )
    const { name, tags } = await nameIn(owner, waiting.controllerId)
    assert.deepEqual([name, tags], ['Boiler room', ['site:spb-1']])
  })

  test('keep the token that is known, and get another when it is not or runs out', async () => {
    const input = declaration()
    const first = (await enrol(input)).activation!
    const known = { ...input, activation: { tokenHash: sha256Hex(first.token) } }
    assert.equal((await enrol(known)).activation, null)
    const second = (await enrol(input)).activation!
    assert.notEqual(second.token, first.token)
    assert.equal((await redeem(first.token, input.mac)).outcome, 'refused')
    under.advance(6.5 * DAY_MS)
    const lost = { ...input, activation: { tokenHash: sha256Hex(second.token) } }
    const third = (await enrol(lost)).activation!
    assert.equal((await redeem(third.token, input.mac)).outcome, 'issued')
    assert.equal((await enrol({ ...declaration(), activation: null })).activation, null)
  })

  test('declared again and again change no row', async () => {
    const { input } = await enrolActive()
    const print = () =>
      rows(
        under.kernel.db,
        'SELECT md5(c::text) AS c, md5(e::text) AS e FROM controllers c JOIN enrolments e ON e.controller_id = c.id ORDER BY 1',
        {},
      )
    const [print1, events] = [await print(), await count('domain_events')]
    await enrol(input)
    assert.deepEqual([await print(), await count('domain_events')], [print1, events])
  })

  test('are refused precisely, and nothing of them stays', async () => {
    const prints = async () => [
      await count('controllers'),
      await count('enrolments'),
      await count('audit_log'),
    ]
    const stranger = await under.buildUser({ tier: 'premium' })
    const mac = freshMac()
    await under.buildController(stranger, { mac })
    const { input } = await enrolActive()
    const small = await under.buildUser()
    for (let left = 3; left > 0; left -= 1) await under.buildController(small)
    const had = await prints()
    assert.equal(await refusal(declaration({ owner: 'nobody@example.test' })), 'owner_unknown')
    assert.equal(await refusal(declaration({ mac })), 'mac_taken')
    assert.equal(await refusal({ ...input, name: 'another' }), 'declared_elsewhere')
    assert.equal(await refusal(declaration({ owner: small.email })), 'limit_reached')
    await assert.rejects(declare(declaration({ tags: ['no tag!'] })), { code: 'validation_failed' })
    assert.deepEqual(await prints(), had)
  })

  test('take over the controller that the owner claimed before', async () => {
    const mac = freshMac()
    const { id } = await under.buildController(owner, { mac })
    const answer = await enrol(declaration({ mac, displayName: 'Declared' }))
    assert.deepEqual([answer.controllerId, answer.registered, answer.activation], [id, true, null])
    assert.equal((await nameIn(owner, id)).name, 'Declared')
  })

  test('keep what the portal says until it is declared anew', async () => {
    const { input, controllerId } = await enrolActive()
    const actor = { userId: owner.userId, remoteAddress: ADDRESS }
    await under.controllers.service.update(actor, controllerId, { name: 'Mine', tags: ['own'] }, null)
    assert.deepEqual((await enrol(input)).drift, [
      { field: 'displayName', declared: 'Boiler room', actual: 'Mine' },
      { field: 'tags', declared: 'site:spb-1', actual: 'own' },
    ])
    const anew = await enrol({ ...input, displayName: 'Boiler', tags: ['site:spb-2'] })
    assert.deepEqual(anew.drift, [])
    const { name, tags } = await nameIn(owner, controllerId)
    assert.deepEqual([name, tags], ['Boiler', ['own', 'site:spb-2']])
  })

  test('are kept out while they are suspended, and let in after', async () => {
    const { input, controllerId } = await enrolActive()
    assert.equal((await enrol({ ...input, suspended: true })).state, 'suspended')
    assert.equal(await stateOf(controllerId), 'suspended')
    const isSuspended = async () =>
      (await listAll(under, owner)).find(({ id }) => id === controllerId)?.isSuspended
    assert.equal(await isSuspended(), true)
    assert.equal((await enrol(input)).state, 'offline')
    assert.equal(await isSuspended(), false)
    assert.equal(await stateOf(controllerId), 'active')
    const waiting = declaration({ suspended: true })
    const { activation } = await enrol(waiting)
    assert.equal((await redeem(activation!.token, waiting.mac)).outcome, 'refused')
  })

  test('are seen by the people they are shared with, who see nothing else of the workspace', async () => {
    const friend = await under.buildUser()
    const { input, controllerId } = await enrolActive()
    const { controllerId: other } = await enrolActive()
    const role = async (id: string) => under.controllers.access.roleOnController(friend.userId, id)
    const shared = await enrol({ ...input, sharedWith: [friend.email, owner.email, 'nobody@example.test'] })
    assert.deepEqual(shared.unknownPeople, ['nobody@example.test'])
    assert.deepEqual([await role(controllerId), await role(other)], ['viewer', null])
    assert.equal(await under.controllers.access.roleOnController(owner.userId, controllerId), 'owner')
    assert.deepEqual(
      (await listAll(under, friend)).map(({ id }) => id),
      [controllerId],
    )
    assert.equal((await listAll(under, owner)).filter(({ id }) => id === controllerId).length, 1)
    const actor = { userId: friend.userId, remoteAddress: ADDRESS }
    await assert.rejects(under.controllers.service.remove(actor, controllerId), { code: 'forbidden' })
    await enrol(input)
    assert.equal(await role(controllerId), null)
  })

  test('stay or go when they are withdrawn, as asked; without a device they always go', async () => {
    const withdraw = (input: Input, isUnwanted: boolean) =>
      under.controllers.enrolments.withdraw({
        namespace: input.namespace,
        name: input.name,
        delete: isUnwanted,
      })
    const kept = await enrolActive()
    assert.deepEqual(await withdraw(kept.input, false), { controller: 'kept' })
    assert.deepEqual(await withdraw(kept.input, false), { controller: 'none' })
    assert.equal(await stateOf(kept.controllerId), 'active')
    const deleted = await enrolActive()
    assert.deepEqual(await withdraw(deleted.input, true), { controller: 'deleted' })
    assert.equal(await stateOf(deleted.controllerId), 'revoked')
    const waiting = declaration()
    await enrol(waiting)
    assert.deepEqual(await withdraw(waiting, false), { controller: 'deleted' })
    assert.equal((await enrol({ ...waiting, name: 'again' })).registered, false)
  })

  test('are not made anew after their owner deleted them, but by a new object', async () => {
    const { input, controllerId } = await enrolActive()
    await under.controllers.service.remove({ userId: owner.userId, remoteAddress: ADDRESS }, controllerId)
    assert.equal(await refusal(input), 'removed')
    await under.controllers.upkeep.purgeDeleted(controllerId)
    assert.equal(await refusal(input), 'removed')
    const { namespace, name } = input
    await under.controllers.enrolments.withdraw({ namespace, name, delete: false })
    assert.notEqual((await enrol(input)).controllerId, controllerId)
  })

  test('become active by a code that their device shows, too', async () => {
    const input = declaration()
    const { controllerId } = await enrol(input)
    const opened = await under.controllers.codes.open({ device: describeDevice({ mac: input.mac }) })
    assert.ok(opened.outcome === 'opened')
    const claimant = { userId: owner.userId, remoteAddress: ADDRESS }
    const claimed = await under.controllers.codes.confirm(
      opened.userCode.replace('-', ''),
      undefined,
      claimant,
    )
    assert.deepEqual([claimed.id, claimed.name, claimed.isActive], [controllerId, 'Boiler room', true])
    const { claimId, claimSecret } = opened
    assert.equal((await under.controllers.codes.collect({ claimId, claimSecret })).outcome, 'issued')
    assert.equal((await enrol(input)).registered, true)
  })

  test('become active by a token of the portal that their device was given', async () => {
    const input = declaration()
    const { controllerId } = await enrol(input)
    const { token } = await under.controllers.tokens.createToken({
      userId: owner.userId,
      name: undefined,
      remoteAddress: ADDRESS,
    })
    const redeemed = await redeem(token, input.mac)
    assert.ok(redeemed.outcome === 'issued' && redeemed.controller.controllerId === controllerId)
    assert.equal((await enrol(input)).registered, true)
  })

  test('outlast their token', async () => {
    const input = declaration()
    const { controllerId } = await enrol(input)
    under.advance(8 * DAY_MS)
    await under.controllers.upkeep.purgeOld()
    assert.equal((await enrol(input)).controllerId, controllerId)
  })
})
