import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { GatewayEvent } from '@wmoc/protocol/control-plane'
import { describeDevice, openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import { LOST_AFTER_MS } from './connections.ts'

suite('connections of controllers', () => {
  let under: ControllersUnderTest
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const owned = async () => {
    const user = await under.buildUser({ tier: 'basic' })
    const { id } = await under.buildController(user)
    return { user, id, status: () => under.controllers.service.status(user.userId, id) }
  }
  const now = () => under.kernel.clock().getTime()
  const connected = (controllerId: string, epoch: number, at = now()): GatewayEvent => ({
    type: 'connected',
    controllerId,
    epoch,
    shard: 'gateway-0',
    websocketId: `${controllerId}-${epoch}`,
    device: describeDevice({ firmwareVersion: '2.0.0' }),
    at,
  })
  const disconnected = (controllerId: string, epoch: number, at = now()): GatewayEvent => ({
    type: 'disconnected',
    controllerId,
    epoch,
    websocketId: `${controllerId}-${epoch}`,
    closeCode: 1006,
    reason: 'lost',
    at,
  })
  const accept = (...events: GatewayEvent[]) => under.controllers.connections.accept({ events })
  const changesOf = async (id: string) =>
    (await under.events('controller.status'))
      .filter((event) => event['controllerId'] === id)
      .map((event) => event['status'])

  test('a connect and a disconnect make one session, two changes of status and the last sign of life', async () => {
    const { id, status } = await owned()
    const at = now()
    assert.deepEqual(await accept(connected(id, 10, at)), { accepted: 1 })
    const online = await status()
    assert.equal(online.status, 'online')
    assert.equal(online.since, new Date(at).toISOString())
    assert.equal(online.session?.epoch, 10)
    assert.equal(online.session?.shard, 'gateway-0')
    await accept(disconnected(id, 10, at + 1_000))
    const offline = await status()
    assert.equal(offline.status, 'offline')
    assert.equal(offline.session, null)
    assert.equal(offline.lastSeenAt, new Date(at + 1_000).toISOString())
    assert.deepEqual(
      offline.sessions.map(({ reason, disconnectedAt }) => ({ reason, disconnectedAt })),
      [{ reason: 'lost', disconnectedAt: new Date(at + 1_000).toISOString() }],
    )
    assert.deepEqual(await changesOf(id), ['online', 'offline'])
  })

  test('a batch that comes twice changes nothing the second time', async () => {
    const { id, status } = await owned()
    const batch = [connected(id, 10), disconnected(id, 10), connected(id, 11)]
    await accept(...batch)
    const first = await status()
    await accept(...batch)
    assert.deepEqual(await status(), first)
    assert.deepEqual(await changesOf(id), ['online', 'offline', 'online'])
  })

  test('a late disconnect of an older epoch, from another shard, leaves the newer connection online', async () => {
    const { id, status } = await owned()
    await accept(connected(id, 10))
    await accept(connected(id, 20))
    await accept(disconnected(id, 10))
    const { status: now_, sessions } = await status()
    assert.equal(now_, 'online')
    assert.deepEqual(
      sessions.map((session) => session.reason),
      [null, 'superseded'],
    )
    assert.deepEqual(await changesOf(id), ['online'])
  })

  test('events of unknown and of deleted controllers are passed over, their neighbours kept', async () => {
    const { id, status } = await owned()
    const deleted = await owned()
    const actor = { userId: deleted.user.userId, remoteAddress: '192.0.2.1' }
    await under.controllers.service.remove(actor, deleted.id)
    const unknown = '019a0000-0000-7000-8000-00000000dead'
    const answer = await accept(connected(unknown, 1), connected(deleted.id, 1), connected(id, 1))
    assert.deepEqual(answer, { accepted: 1 })
    assert.equal((await status()).status, 'online')
  })

  test('D9: failed logins are told once a minute, not once a guess', async () => {
    const { id } = await owned()
    const failed = (reason: 'bad_secret' | 'conflict'): GatewayEvent => ({
      type: 'auth_failed',
      controllerId: id,
      remoteAddress: '192.0.2.66',
      reason,
      at: now(),
    })
    await accept(failed('bad_secret'), failed('bad_secret'))
    for (let count = 0; count < 20; count++) {
      under.advance(1)
      await accept(failed('bad_secret'))
    }
    await accept(failed('conflict'))
    const told = (await under.events('controller.auth_failed')).filter(
      (event) => event['controllerId'] === id,
    )
    assert.deepEqual(
      told.map((event) => event['reason']),
      ['bad_secret', 'conflict'],
    )
  })

  test('a controller that nobody holds after a crash goes offline once it was silent for 90 s', async () => {
    under.advance(LOST_AFTER_MS + 1)
    await under.controllers.connections.reconcile()
    const lost = await owned()
    const held = await owned()
    await accept(connected(lost.id, 10), connected(held.id, 10))
    await under.kernel.store.claimPresence(held.id, { shard: 'gateway-0', atLeast: 10, ttlMs: 600_000 })
    assert.equal(await under.controllers.connections.reconcile(), 0)
    const lastSeen = now()
    under.advance(LOST_AFTER_MS + 1)
    assert.equal(await under.controllers.connections.reconcile(), 1)
    const status = await lost.status()
    assert.equal(status.status, 'offline')
    assert.equal(status.sessions[0]?.reason, 'lost')
    assert.ok(Date.parse(status.sessions[0].disconnectedAt!) <= lastSeen)
    assert.equal((await held.status()).status, 'online')
  })

  test('a controller marked offline by mistake comes back when a shard holds it and it shows life', async () => {
    const { id, status } = await owned()
    await accept(connected(id, 10))
    under.advance(LOST_AFTER_MS + 1)
    assert.equal(await under.controllers.connections.reconcile(), 1)
    await under.kernel.store.claimPresence(id, { shard: 'gateway-0', atLeast: 10, ttlMs: 600_000 })
    await accept({ type: 'seen', controllerId: id, at: now() + 1 })
    await under.controllers.connections.reconcile()
    assert.equal((await status()).status, 'online')
  })

  test('F6: a storm of reconnects costs a few statements a batch, not one each', async () => {
    const user = await under.buildUser({ tier: 'premium' })
    const ids: string[] = []
    for (let count = 0; count < 50; count++) ids.push((await under.buildController(user)).id)
    const { db } = under.kernel
    let statements = 0
    const options = Reflect.get(db, 'options') as { logging: false | (() => void) }
    options.logging = () => {
      statements++
    }
    await accept(...ids.map((id) => connected(id, 10)))
    options.logging = false
    assert.ok(statements < 10, `${statements} statements`)
  })

  test('availability counts the time connected, overlapping sessions once', async () => {
    const { id, status } = await owned()
    under.advance(10 * 3_600_000)
    const end = now()
    await accept(connected(id, 10, end - 4 * 3_600_000), connected(id, 11, end - 3 * 3_600_000))
    await accept(disconnected(id, 11, end - 2 * 3_600_000))
    const share = (await status()).availability24h!
    assert.ok(Math.abs(share - 0.2) < 0.001, String(share))
  })

  test('the list shows the availability of each of its rows, read at once', async () => {
    const { user, id } = await owned()
    const second = await under.buildController(user)
    under.advance(8 * 3_600_000)
    const fresh = await under.buildController(user)
    const { userId } = user
    const token = await under.controllers.tokens.createToken({ userId, remoteAddress: '192.0.2.1', name: '' })
    await accept(connected(id, 10, now() - 2 * 3_600_000))
    const { db } = under.kernel
    const options = Reflect.get(db, 'options') as { logging: false | (() => void) }
    let statements = 0
    options.logging = () => {
      statements++
    }
    const { items } = await under.controllers.service.list(userId, { sort: 'name', limit: 50 })
    options.logging = false
    assert.equal(statements, 2)
    const shares = new Map(items.map((item) => [item.id, item.availability24h]))
    assert.ok(Math.abs(shares.get(id)! - 0.25) < 0.001, String(shares.get(id)))
    assert.equal(shares.get(second.id), 0)
    assert.equal(shares.get(fresh.id), null)
    assert.equal(shares.get(token.controller.id), null)
  })

  test('the summary counts states and tags, and the hours of the last day', async () => {
    const { user, id } = await owned()
    const actor = { userId: user.userId, remoteAddress: '192.0.2.1' }
    await under.controllers.service.update(actor, id, { tags: ['north', 'pump'] }, null)
    await under.controllers.tokens.createToken({ ...actor, name: 'waits' })
    under.advance(3_600_000)
    await accept(connected(id, 10, now() - 1_800_000))
    const summary = await under.controllers.service.summary(user.userId)
    const { total, online, offline, pending, tags, availability } = summary
    assert.deepEqual({ total, online, offline, pending }, { total: 2, online: 1, offline: 0, pending: 1 })
    assert.deepEqual(tags, [
      { tag: 'north', count: 1 },
      { tag: 'pump', count: 1 },
    ])
    assert.equal(availability.length, 24)
    assert.equal(availability[0]?.onlineShare, null)
    assert.ok(availability[23]!.onlineShare! > 0)
  })
})
