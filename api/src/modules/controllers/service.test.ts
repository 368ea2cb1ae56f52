import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import fc from 'fast-check'
import { rows } from '#src/kernel/rows.ts'
import { ADDRESS, openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import { insertMember } from '#src/testing/plain-rows.ts'
import type { PlainUser } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { controllers } from './contract.ts'
import { etagOf } from './service.ts'

const Query = controllers.routes.list.query

suite('controllers of a person', () => {
  let under: ControllersUnderTest
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const service = () => under.controllers.service
  const actor = (user: PlainUser) => ({ userId: user.userId, remoteAddress: ADDRESS })
  const list = (user: PlainUser, query: object = {}) => service().list(user.userId, Query.parse(query))
  const namesOf = async (user: PlainUser, query: object) =>
    (await list(user, query)).items.map(({ name }) => name)
  const named = async (user: PlainUser, name: string, tags: string[] = [], mac?: string) => {
    const { id } = await under.buildController(user, mac === undefined ? {} : { mac })
    await service().update(actor(user), id, { name, tags }, null)
    return id
  }

  test('are found by part of name, MAC, model and tag; wildcards are ordinary characters', async () => {
    const user = await under.buildUser({ tier: 'basic' })
    await named(user, 'Boiler 100%', ['cellar'], 'AA:BB:CC:11:22:33')
    await named(user, 'Gate_1', ['yard', 'north'])
    const other = await under.buildUser()
    await named(other, 'Насос')
    assert.deepEqual(await namesOf(other, { q: 'нас' }), ['Насос'])
    assert.deepEqual(await namesOf(user, { q: 'boil' }), ['Boiler 100%'])
    assert.deepEqual(await namesOf(user, { q: '0%' }), ['Boiler 100%'])
    assert.deepEqual(await namesOf(user, { q: 'e_1' }), ['Gate_1'])
    assert.deepEqual(await namesOf(user, { q: 'cc-11-22' }), ['Boiler 100%'])
    assert.deepEqual(await namesOf(user, { q: 'yar' }), ['Gate_1'])
    assert.deepEqual(await namesOf(user, { q: '%' }), ['Boiler 100%'])
    assert.deepEqual(await namesOf(user, { q: '--' }), [])
    assert.deepEqual(await namesOf(user, { q: `'; DROP TABLE controllers; --` }), [])
    assert.deepEqual(await namesOf(user, { q: 'a\0' }), [])
    assert.deepEqual(await namesOf(user, { tag: ['north', 'yard'] }), ['Gate_1'])
    assert.deepEqual(await namesOf(user, { tag: ['north', 'cellar'] }), [])
    assert.deepEqual(await namesOf(user, { status: 'offline' }), ['Boiler 100%', 'Gate_1'])
    assert.deepEqual(await namesOf(user, { status: 'pending' }), [])
  })

  test('keep how their page may be kept, and every change of it is audited and told to the gateways', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    assert.equal((await service().get(user.userId, id)).pageCache, 'private')
    const told: unknown[] = []
    const stop = await under.kernel.store.subscribe(
      GATEWAY_CHANNEL,
      (message) => void told.push(JSON.parse(message)),
    )
    assert.equal((await service().update(actor(user), id, { pageCache: 'public' }, null)).pageCache, 'public')
    const [record] = (await under.controllers.records.lookup({ ids: [id], labels: [] })).controllers
    assert.equal(record?.pageCache, 'public')
    await waitFor(() => told.some((notice) => (notice as { type: string }).type === 'controller_changed'))
    await stop()
    const [entry] = await rows<{ before: object; after: object }>(
      under.kernel.db,
      `SELECT before, after FROM audit_log WHERE target = $target AND action = 'controller.updated'`,
      { target: `controller:${id}` },
    )
    assert.deepEqual(
      [entry?.before, entry?.after].map((side) => (side as { pageCache: string }).pageCache),
      ['private', 'public'],
    )
  })

  test('pages of any size, in any order, show each once and end', async () => {
    const user = await under.buildUser({ tier: 'basic' })
    for (const name of ['b', 'a', 'a', 'ä', 'B', 'c', '']) await named(user, name || 'Ж')
    await under.controllers.tokens.createToken({ ...actor(user), name: 'waits' })
    const sorts = [
      'name',
      '-name',
      'lastSeenAt',
      '-lastSeenAt',
      'createdAt',
      '-createdAt',
      'status',
      '-status',
    ]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...sorts), fc.integer({ min: 1, max: 9 }), async (sort, limit) => {
        const whole = (await list(user, { sort })).items.map(({ id }) => id)
        assert.equal(new Set(whole).size, 8)
        const seen: string[] = []
        let cursor: string | null = null
        do {
          const page = await list(user, cursor === null ? { sort, limit } : { sort, limit, cursor })
          seen.push(...page.items.map(({ id }) => id))
          cursor = page.nextCursor
        } while (cursor !== null)
        assert.deepEqual(seen, whole)
      }),
      { numRuns: 30 },
    )
  })

  test('a cursor of another sort, or one that somebody made up, is refused', async () => {
    const user = await under.buildUser()
    await named(user, 'one')
    await named(user, 'two')
    const { nextCursor } = await list(user, { limit: 1 })
    await assert.rejects(list(user, { limit: 1, cursor: nextCursor, sort: 'createdAt' }), {
      code: 'validation_failed',
    })
    for (const text of ['x', Buffer.from(`["name","a","'; --"]`).toString('base64url')]) {
      await assert.rejects(list(user, { cursor: text }), { code: 'validation_failed' })
    }
  })

  test('of two people who change one version the second is told', async () => {
    const user = await under.buildUser()
    const id = await named(user, 'first')
    const read = await service().get(user.userId, id)
    const changed = await service().update(actor(user), id, { name: 'second' }, etagOf(read))
    assert.equal(changed.version, read.version + 1)
    await assert.rejects(service().update(actor(user), id, { name: 'third' }, etagOf(read)), {
      code: 'version_conflict',
    })
    const races = await Promise.allSettled(
      ['x', 'y', 'z'].map((name) => service().update(actor(user), id, { name }, etagOf(changed))),
    )
    assert.equal(races.filter((race) => race.status === 'fulfilled').length, 1)
  })

  test('what a device reports leaves the version alone, so that an edit meanwhile is no conflict', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    const read = await service().get(user.userId, id)
    await under.controllers.connections.accept({
      events: [{ type: 'seen', controllerId: id, at: 1_800_000_000_000 }],
    })
    await service().rotate(actor(user), id)
    await service().update(actor(user), id, { name: 'mine' }, etagOf(read))
  })

  test('metadata and names with NUL and half surrogates are stored, not an error', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    const { name, metadata } = await service().update(
      actor(user),
      id,
      { name: 'a\0b', metadata: { 'k\0': 'v\uD800' } },
      null,
    )
    assert.equal(name, 'a\uFFFDb')
    assert.deepEqual(metadata, { 'k\uFFFD': 'v\uFFFD' })
  })

  test('U9: a stranger gets the same 404 for a foreign id as for one that isn’t there, and changes nothing', async () => {
    const [owner, stranger] = await Promise.all([under.buildUser(), under.buildUser()])
    const { id } = await under.buildController(owner)
    const missing = '019a0000-0000-7000-8000-00000000dead'
    const snapshot = () =>
      rows(under.kernel.db, 'SELECT to_jsonb(c) FROM controllers c WHERE id = $id', { id })
    const untouched = await snapshot()
    for (const target of [id, missing]) {
      const calls = [
        () => service().get(stranger.userId, target),
        () => service().update(actor(stranger), target, { name: 'mine' }, null),
        () => service().remove(actor(stranger), target),
        () => service().rotate(actor(stranger), target),
        () => service().status(stranger.userId, target),
      ]
      for (const call of calls) await assert.rejects(call(), { code: 'not_found' })
    }
    assert.deepEqual(await snapshot(), untouched)
    assert.deepEqual(await namesOf(stranger, {}), [])
    assert.equal((await service().summary(stranger.userId)).total, 0)
  })

  test('a member of the workspace sees it in that role; access is answered for many at once, in order', async () => {
    const [owner, viewer] = await Promise.all([under.buildUser(), under.buildUser()])
    const { id } = await under.buildController(owner)
    await insertMember(under.kernel.db, owner.workspaceId, viewer.userId, 'viewer')
    assert.equal((await service().get(viewer.userId, id)).role, 'viewer')
    const stranger = await under.buildUser()
    const roles = await under.controllers.access.rolesOnControllers(
      [stranger, viewer, owner, viewer].map(({ userId }) => ({ userId, controllerId: id })),
    )
    assert.deepEqual(roles, [null, 'viewer', 'owner', 'viewer'])
  })

  test('the numbers of a person count what is shared with them, as the list does', async () => {
    const [owner, friend] = await Promise.all([under.buildUser(), under.buildUser()])
    const id = await named(owner, 'Lamp', ['hall'])
    await rows(
      under.kernel.db,
      'INSERT INTO controller_shares (controller_id, user_id, created_at) VALUES ($id, $userId, now())',
      { id, userId: friend.userId },
    )
    assert.deepEqual(await namesOf(friend, {}), ['Lamp'])
    const { total, tags } = await service().summary(friend.userId)
    assert.deepEqual({ total, tags }, { total: 1, tags: [{ tag: 'hall', count: 1 }] })
  })

  test('a viewer may look, an operator may also send commands, neither may change, delete or rotate', async () => {
    const owner = await under.buildUser()
    const { id } = await under.buildController(owner)
    const people = await Promise.all([under.buildUser(), under.buildUser()])
    for (const [index, role] of (['viewer', 'operator'] as const).entries()) {
      const person = people[index]!
      await insertMember(under.kernel.db, owner.workspaceId, person.userId, role)
      await service().status(person.userId, id)
      const changes = [
        () => service().update(actor(person), id, { name: 'mine' }, null),
        () => service().rotate(actor(person), id),
        () => service().remove(actor(person), id),
      ]
      for (const change of changes) await assert.rejects(change(), { code: 'forbidden' })
    }
    const [viewer, operator] = people
    const body = { name: 'reboot', params: {}, ttlSec: 60 }
    await assert.rejects(under.commands.service.send(viewer.userId, id, body), { code: 'forbidden' })
    const sent = await under.commands.service.send(operator.userId, id, body)
    await assert.rejects(under.commands.service.cancel(viewer.userId, id, sent.id), { code: 'forbidden' })
    await under.commands.service.cancel(operator.userId, id, sent.id)
  })

  test('D10: deleting tells the gateways, frees the MAC and leaves no data of it', async () => {
    const [user, next] = await Promise.all([under.buildUser(), under.buildUser()])
    const { id } = await under.buildController(user, { mac: '02:00:00:00:02:10' })
    await under.commands.service.send(user.userId, id, { name: 'reboot', params: {}, ttlSec: 60 })
    const heard: string[] = []
    const end = await under.kernel.store.subscribe(GATEWAY_CHANNEL, (message) => heard.push(message))
    await service().remove(actor(user), id)
    await waitFor(() => heard.length > 0)
    await end()
    assert.deepEqual(JSON.parse(heard[0]!), { type: 'revoked', controllerId: id })
    await assert.rejects(under.commands.service.list(user.userId, id, { limit: 50 }), { code: 'not_found' })
    const { id: newId } = await under.buildController(next, { mac: '02:00:00:00:02:10' })
    assert.notEqual(newId, id)
    await under.controllers.upkeep.purgeDeleted(id)
    const left = await rows(
      under.kernel.db,
      `SELECT id FROM controllers WHERE id = $id UNION ALL SELECT id FROM commands WHERE controller_id = $id
       UNION ALL SELECT id FROM controller_sessions WHERE controller_id = $id`,
      { id },
    )
    assert.deepEqual(left, [])
  })

  test('a pending controller whose token ran out leaves by itself', async () => {
    const user = await under.buildUser()
    await under.controllers.tokens.createToken({ ...actor(user), name: 'forgotten' })
    under.advance(2 * 3_600_000)
    await under.controllers.upkeep.purgeOld()
    assert.deepEqual(await namesOf(user, {}), [])
  })
})
