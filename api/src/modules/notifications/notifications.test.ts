import assert from 'node:assert/strict'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { uuidv7 } from '@wmoc/platform/ids'
import type { DomainEvent } from '#src/kernel/domain-events.ts'
import { rows } from '#src/kernel/rows.ts'
import { openKernel, type PlainKernel } from '#src/testing/plain-kernel.ts'
import { insertControllers, insertMember, insertUser, type PlainUser } from '#src/testing/plain-rows.ts'
import { createCommandsModule } from '../commands/module.ts'
import { createControllersModule } from '../controllers/module.ts'
import { createAudience } from './audience.ts'
import type { Channel, Person } from './channel.ts'
import { createDelivery } from './deliver.ts'
import { createNotificationsModule, type NotificationsModule } from './module.ts'
import { createNotify } from './notify.ts'
import { PRESENCE_RULES } from './core/presence.ts'
import { createWatch } from './watch.ts'

interface Sent {
  readonly to: string
  readonly title: string
  readonly message: string
}

let kernel: PlainKernel
let owner: PlainUser
let controllerId: string
let sent: Sent[]
let module: NotificationsModule
let email: Channel

/** A mailbox in a table, so that what a rolled back transaction sent was not sent. */
const mailbox = (): Channel => ({
  name: 'email',
  canReach: (person: Person) => person.emailVerified,
  send: async (person, text, transaction) => {
    transaction.afterCommit(() => {
      sent.push({ to: person.email, title: text.title, message: text.message })
    })
  },
})

/** As the composition root gives them. */
const sources = () => {
  const controllers = createControllersModule(kernel, { countQueued: async () => 0 })
  const commands = createCommandsModule(kernel, controllers.access)
  return { controllerName: controllers.service.nameOf, command: commands.service.outcomeOf }
}

/** A new kernel with an owner and one controller, and the module on it. */
async function begin(name: string, options: { work: boolean }): Promise<void> {
  kernel = await openKernel()
  owner = await insertUser(kernel.db)
  const [id] = await insertControllers(kernel.db, owner, 1, { name })
  controllerId = id!
  sent = []
  email = mailbox()
  module = createNotificationsModule(kernel, { channels: [email], sources: sources() })
  module.register?.()
  await kernel.start(options)
}

const emit = (event: DomainEvent): Promise<void> =>
  kernel.db.transaction((transaction) => kernel.events.emit(event, transaction))
const status = (value: 'online' | 'offline', at: number, id = controllerId): Promise<void> =>
  emit({ type: 'controller.status', workspaceId: owner.workspaceId, controllerId: id, status: value, at })

async function eventually<T>(read: () => Promise<T>, isDone: (value: T) => boolean): Promise<T> {
  for (let left = 1_200; ; left -= 1) {
    const value = await read()
    if (isDone(value)) return value
    if (left === 0) throw new Error(`still ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
const list = async (user = owner) =>
  (await module.service.list(user.userId, { limit: 200 })).items.toReversed()
const types = async (user = owner): Promise<string[]> => (await list(user)).map(({ type }) => type)

suite('notifications', () => {
  beforeEach(() => begin('Pump <b>1</b>', { work: true }))
  afterEach(() => kernel.close())

  test('U17: tell operators and above of the workspace, in their language, and nobody else', async () => {
    const russian = await insertUser(kernel.db, { locale: 'ru' })
    const viewer = await insertUser(kernel.db)
    const stranger = await insertUser(kernel.db)
    await insertMember(kernel.db, owner.workspaceId, russian.userId, 'operator')
    await insertMember(kernel.db, owner.workspaceId, viewer.userId, 'viewer')
    await emit({
      type: 'controller.activated',
      workspaceId: owner.workspaceId,
      controllerId,
      userId: owner.userId,
      name: 'Pump',
    })
    const [mine] = await eventually(
      () => list(),
      (items) => items.length > 0,
    )
    assert.equal(mine?.title, 'Pump <b>1</b> was added')
    assert.deepEqual(mine?.data, { controllerId, controllerName: 'Pump <b>1</b>' })
    assert.deepEqual(
      (await list(russian)).map(({ title }) => title),
      ['Добавлен контроллер Pump <b>1</b>'],
    )
    assert.deepEqual([await list(viewer), await list(stranger)], [[], []])
  })

  test('say that a command failed or ran out, once, and not that it was withdrawn', async () => {
    const command = async (state: string, error: string | null): Promise<void> => {
      const commandId = uuidv7()
      await rows(
        kernel.db,
        `INSERT INTO commands (id, controller_id, workspace_id, name, params, state, error, created_at, expires_at)
         VALUES ($commandId, $controllerId, $workspaceId, 'reboot', '{}', $state, $error, now(), now())`,
        { commandId, controllerId, workspaceId: owner.workspaceId, state, error },
      )
      const event = {
        type: 'command.changed',
        workspaceId: owner.workspaceId,
        controllerId,
        commandId,
        state,
        createdBy: null,
      } as const
      await emit(event)
      await emit(event)
    }
    await command('acknowledged', null)
    await command('expired', 'withdrawn')
    await command('failed', 'valve\r\nstuck')
    await command('expired', null)
    const items = await eventually(
      () => list(),
      ({ length }) => length >= 2,
    )
    assert.deepEqual(
      items.map(({ type }) => type),
      ['command_failed', 'command_failed'],
    )
    assert.match(items[0]!.message, /could not do the command "reboot": valve stuck\./)
    assert.match(items[1]!.message, /expired before/)
  })

  test('say at most once an hour that somebody fails to sign in as a controller', async () => {
    const failed = (): Promise<void> =>
      emit({
        type: 'controller.auth_failed',
        workspaceId: owner.workspaceId,
        controllerId,
        remoteAddress: '192.0.2.7',
        reason: 'bad_secret',
      })
    for (let count = 0; count < 30; count += 1) await failed()
    await eventually(
      () => types(),
      ({ length }) => length > 0,
    )
    kernel.advance(59 * 60_000)
    await failed()
    kernel.advance(2 * 60_000)
    await failed()
    assert.deepEqual(
      await eventually(
        () => types(),
        ({ length }) => length > 1,
      ),
      ['controller_auth_failed', 'controller_auth_failed'],
    )
  })

  test('say nothing of a controller that was deleted', async () => {
    await kernel.db.query('UPDATE controllers SET deleted_at = now()')
    await emit({
      type: 'controller.activated',
      workspaceId: owner.workspaceId,
      controllerId,
      userId: owner.userId,
      name: 'x',
    })
    const [other] = await insertControllers(kernel.db, owner, 1)
    await emit({
      type: 'controller.activated',
      workspaceId: owner.workspaceId,
      controllerId: other!,
      userId: owner.userId,
      name: 'x',
    })
    const items = await eventually(
      () => list(),
      ({ length }) => length > 0,
    )
    assert.deepEqual(
      items.map(({ data }) => data['controllerId']),
      [other],
    )
  })

  test('U17: belong to one person: read, counted and listed by nobody else', async () => {
    const stranger = await insertUser(kernel.db)
    await insertMember(kernel.db, owner.workspaceId, stranger.userId, 'admin')
    const [second] = await insertControllers(kernel.db, owner, 1)
    for (const id of [controllerId, second!])
      await emit({
        type: 'controller.activated',
        workspaceId: owner.workspaceId,
        controllerId: id,
        userId: owner.userId,
        name: 'x',
      })
    const [mine] = await eventually(
      () => list(),
      ({ length }) => length === 2,
    )
    await assert.rejects(module.service.read(stranger.userId, mine!.id), { code: 'not_found' })
    await assert.rejects(module.service.get(stranger.userId, mine!.id), { code: 'not_found' })
    await assert.rejects(module.service.read(owner.userId, uuidv7()), { code: 'not_found' })
    assert.equal((await module.service.read(owner.userId, mine!.id)).isRead, true)
    assert.equal((await module.service.read(owner.userId, mine!.id)).isRead, true)
    assert.deepEqual(
      [await module.service.unreadCount(owner.userId), await module.service.unreadCount(stranger.userId)],
      [1, 2],
    )
    assert.equal(await module.service.readAll(owner.userId), 1)
    assert.equal(await module.service.readAll(owner.userId), 0)
    assert.deepEqual(
      [await module.service.unreadCount(owner.userId), await module.service.unreadCount(stranger.userId)],
      [0, 2],
    )
  })

  test('go after 90 days, read or not', async () => {
    await emit({
      type: 'controller.activated',
      workspaceId: owner.workspaceId,
      controllerId,
      userId: owner.userId,
      name: 'Pump',
    })
    await eventually(
      () => list(),
      ({ length }) => length === 1,
    )
    kernel.advance(89 * 86_400_000)
    assert.equal(await module.service.purge(), 0)
    kernel.advance(86_400_000)
    assert.equal(await module.service.purge(), 1)
    assert.deepEqual(await list(), [])
  })

  test('are paged newest first, each once', async () => {
    const ids = await insertControllers(kernel.db, owner, 45)
    for (const id of ids)
      await emit({
        type: 'controller.activated',
        workspaceId: owner.workspaceId,
        controllerId: id,
        userId: owner.userId,
        name: 'x',
      })
    await eventually(
      () => list(),
      ({ length }) => length === 45,
    )
    const seen: string[] = []
    for (let cursor: string | undefined; ;) {
      const page = await module.service.list(owner.userId, { limit: 10, ...(cursor ? { cursor } : {}) })
      seen.push(...page.items.map(({ id }) => id))
      if (!page.nextCursor) break
      cursor = page.nextCursor
    }
    assert.deepEqual(seen, (await list()).map(({ id }) => id).toReversed())
    assert.equal(new Set(seen).size, 45)
    const unread = await module.service.list(owner.userId, { limit: 50, unread: false })
    assert.deepEqual(unread.items, [])
  })
})

suite('presence', () => {
  // Jobs are enqueued and run by hand, so that the clock decides and not the machine.
  beforeEach(() => begin('Pump', { work: false }))
  afterEach(() => kernel.close())

  const watch = () =>
    createWatch(kernel, {
      notify: createNotify(kernel, { audience: createAudience(kernel.db, sources()), channels: [email] }),
    })
  const tell = (value: 'online' | 'offline'): Promise<void> =>
    kernel.db.transaction((transaction) =>
      watch().statusChanged(
        {
          type: 'controller.status',
          workspaceId: owner.workspaceId,
          controllerId,
          status: value,
          at: kernel.clock().getTime(),
        },
        transaction,
      ),
    )
  const jobsWaiting = async (): Promise<number> => {
    const [row] = await rows<{ n: number }>(
      kernel.db,
      `SELECT count(*)::int AS n FROM pgboss.job WHERE name = 'notifications.presence'`,
      {},
    )
    return row!.n
  }

  test('makes at most two notifications when a controller flaps 20 times in 5 minutes, and tells how it ended', async () => {
    for (let flap = 0; flap < 20; flap += 1) {
      await tell(flap % 2 === 0 ? 'offline' : 'online')
      kernel.advance(flap % 5 === 0 ? 65_000 * 0.7 : 5_000)
      await watch().decideNow(controllerId)
    }
    assert.ok((await list()).length <= 2)
    await tell('offline')
    kernel.advance(PRESENCE_RULES.windowMs * 2)
    await watch().decideNow(controllerId)
    assert.equal((await types()).at(-1), 'controller_offline')
  })

  test('is told after it lasted, once, whatever the number of workers', async () => {
    await tell('offline')
    await Promise.all(Array.from({ length: 5 }, () => watch().decideNow(controllerId)))
    assert.deepEqual(await list(), [])
    kernel.advance(60_001)
    await Promise.all(Array.from({ length: 5 }, () => watch().decideNow(controllerId)))
    assert.deepEqual(await types(), ['controller_offline'])
    await tell('online')
    kernel.advance(5_001)
    await watch().decideNow(controllerId)
    assert.deepEqual(await types(), ['controller_offline', 'controller_online'])
  })

  test('keeps one decision on its way for a controller that changes a hundred times', async () => {
    for (let count = 0; count < 100; count += 1) {
      await tell(count % 2 === 0 ? 'offline' : 'online')
      kernel.advance(10)
    }
    assert.equal(await jobsWaiting(), 1)
  })

  test('is decided by the events of the gateway and the job that follows', async () => {
    await kernel.events.startDispatcher()
    await status('offline', kernel.clock().getTime())
    await eventually(jobsWaiting, (count) => count === 1)
    await kernel.events.stopDispatcher()
    const [row] = await rows<{ startAfter: Date }>(
      kernel.db,
      `SELECT start_after AS "startAfter" FROM pgboss.job WHERE name = 'notifications.presence'`,
      {},
    )
    assert.ok(Math.abs(row!.startAfter.getTime() - kernel.clock().getTime() - 60_000) < 10_000)
  })
})

suite('delivery', () => {
  beforeEach(() => begin('Pump', { work: false }))
  afterEach(() => kernel.close())

  const news = (key: string = uuidv7()): Promise<void> =>
    kernel.db.transaction((transaction) =>
      createNotify(kernel, { audience: createAudience(kernel.db, sources()), channels: [email] })(
        {
          workspaceId: owner.workspaceId,
          type: 'controller_offline',
          facts: { controllerId },
          dedupeKey: key,
        },
        transaction,
      ),
    )
  const deliver = (channel = email): Promise<void> =>
    createDelivery(kernel, { audience: createAudience(kernel.db, sources()), channels: [channel] })({
      userId: owner.userId,
      channel: 'email',
    })
  const states = async (): Promise<string[]> =>
    (
      await rows<{ state: string }>(
        kernel.db,
        'SELECT state FROM notification_deliveries ORDER BY notification_id',
        {},
      )
    ).map(({ state }) => state)
  const want = (over: object): Promise<unknown> =>
    module.service.updatePreferences(owner.userId, {
      channels: { email: { types: ['controller_offline'], quietHours: null, ...over } },
    })

  test('F13: sends each notification once by each channel, with ten workers at once', async () => {
    await news('same')
    await news('same')
    // Connections are there before the race, or the first one would be alone.
    await Promise.all(Array.from({ length: 10 }, () => kernel.db.query('SELECT pg_sleep(0.1)')))
    await Promise.all(Array.from({ length: 10 }, () => deliver()))
    await deliver()
    assert.deepEqual(sent, [
      {
        to: owner.email,
        title: 'Pump is offline',
        message: 'The controller "Pump" has lost its connection.',
      },
    ])
    assert.deepEqual(await states(), ['sent'])
  })

  test('F13: sends nothing of what a crash took back, and sends it with the next try', async () => {
    await news()
    const broken: Channel = {
      ...email,
      send: async (...all) => {
        await email.send(...all)
        throw new Error('power cut')
      },
    }
    await assert.rejects(deliver(broken), /power cut/)
    assert.deepEqual([sent, await states()], [[], ['waiting']])
    await deliver()
    assert.equal(sent.length, 1)
  })

  test('keeps quiet in quiet hours and sends what came meanwhile in one message after them', async () => {
    const now = kernel.clock()
    const hour = (offset: number): string =>
      new Date(now.getTime() + offset * 3_600_000).toISOString().slice(11, 16)
    await want({ quietHours: { from: hour(-1), to: hour(2), timeZone: 'UTC' } })
    for (let count = 0; count < 3; count += 1) await news()
    await deliver()
    assert.deepEqual([sent, await states()], [[], ['waiting', 'waiting', 'waiting']])
    kernel.advance(2 * 3_600_000 + 60_000)
    await deliver()
    assert.equal(sent.length, 1)
    assert.equal(sent[0]?.title, '3 notifications')
    assert.deepEqual(await states(), ['sent', 'sent', 'sent'])
  })

  test('keeps quiet in hours that were made quiet after the news came', async () => {
    await news()
    const now = kernel.clock().getTime()
    const hour = (offset: number): string => new Date(now + offset * 3_600_000).toISOString().slice(11, 16)
    await want({ quietHours: { from: hour(-1), to: hour(1), timeZone: 'UTC' } })
    await deliver()
    assert.deepEqual(sent, [])
    kernel.advance(3_600_000 + 60_000)
    await deliver()
    assert.equal(sent.length, 1)
  })

  test('mails only types that were asked for, and only to addresses that were verified', async () => {
    await want({ types: [] })
    await news()
    await deliver()
    await want({})
    await kernel.db.query('UPDATE users SET email_verified_at = NULL')
    await news()
    await deliver()
    assert.deepEqual([sent, await states()], [[], ['skipped']])
    await assert.rejects(module.service.testChannel(owner.userId, 'email'), { code: 'conflict' })
  })

  test('sends a test at once', async () => {
    await module.service.testChannel(owner.userId, 'email')
    assert.equal(sent[0]?.title, 'Test of notifications')
  })

  test('refuses a time zone that nobody knows', async () => {
    await assert.rejects(want({ quietHours: { from: '22:00', to: '07:00', timeZone: 'Mars/Olympus' } }), {
      code: 'validation_failed',
    })
    assert.deepEqual((await module.service.preferences(owner.userId)).channels.email.types, [
      'controller_offline',
      'controller_auth_failed',
      'alert_firing',
    ])
  })
})
