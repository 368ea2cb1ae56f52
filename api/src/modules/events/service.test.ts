import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { appError } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import { until } from '@wmoc/testkit/until'
import type { DomainEvent } from '#src/kernel/domain-events.ts'
import type { SseFrame } from '#src/kernel/module.ts'
import { openKernel, type PlainKernel } from '#src/testing/plain-kernel.ts'
import { insertControllers, insertMember, insertUser, type PlainUser } from '#src/testing/plain-rows.ts'
import type { Command } from '../commands/contract.ts'
import { createControllerAccess } from '../controllers/access.ts'
import type { ControllerAccess } from '../controllers/access.ts'
import type { Notification } from '../notifications/contract.ts'
import { createLive } from '../telemetry/live.ts'
import { StreamEvent } from './contract.ts'
import { createEventsModule } from './module.ts'
import { MAX_STREAMS_PER_USER } from './service.ts'

let kernel: PlainKernel
const aborters: AbortController[] = []
const endedSessions = new Set<string>()
const commands = new Map<string, Command>()
const notifications = new Map<string, Notification>()

const access: Pick<ControllerAccess, 'roleOnController' | 'rolesOnControllers'> = {
  roleOnController: (userId, id) => createControllerAccess(kernel.db).roleOnController(userId, id),
  rolesOnControllers: (pairs) => createControllerAccess(kernel.db).rolesOnControllers(pairs),
}

const found = <T>(value: T | undefined): T => {
  if (!value) throw appError('not_found')
  return value
}

type Module = ReturnType<typeof createEventsModule>
const build = (): Module =>
  createEventsModule(kernel, {
    access,
    sessionsAlive: async (ids) => ids.map((id) => !endedSessions.has(id)),
    commands: { get: async (_user, _controller, id) => found(commands.get(id)) },
    notifications: { get: async (_user, id) => found(notifications.get(id)) },
    live: createLive(kernel),
  })

interface Client {
  readonly frames: SseFrame[]
  readonly sessionId: string
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>
  lastId(): string | undefined
  leave(): Promise<void>
}

interface Options {
  readonly lastEventId?: string | undefined
  readonly logs?: string[]
  readonly metrics?: string[]
  readonly onFrame?: (frame: SseFrame) => Promise<void> | void
}

/** Opens a stream as the binding would and reads it. */
async function open(module: Module, user: PlainUser, options: Options = {}): Promise<Client> {
  const aborter = new AbortController()
  aborters.push(aborter)
  const sessionId = uuidv7()
  const handler = module.routes[0]!.handlers['stream'] as unknown as (
    input: object,
    context: object,
  ) => Promise<AsyncIterable<SseFrame>>
  const { lastEventId, logs, metrics, onFrame } = options
  const stream = await handler(
    { query: { logs, metrics }, headers: { 'last-event-id': lastEventId } },
    { caller: { userId: user.userId, sessionId }, signal: aborter.signal },
  )
  const frames: SseFrame[] = []
  const ended = (async () => {
    for await (const frame of stream) {
      frames.push(frame)
      await onFrame?.(frame)
    }
  })()
  return {
    frames,
    sessionId,
    ended,
    lastId: () => frames.findLast(({ id }) => id !== undefined)?.id,
    leave: async () => {
      aborter.abort()
      await ended
    },
  }
}

const emit = (event: DomainEvent): Promise<void> =>
  kernel.db.transaction((transaction) => kernel.events.emit(event, transaction))
const updated = (user: PlainUser, controllerId = uuidv7()): DomainEvent => ({
  type: 'controller.updated',
  workspaceId: user.workspaceId,
  controllerId,
})
const controllersIn = (frames: readonly SseFrame[]): string[] =>
  frames.flatMap(({ data }) => {
    const event = data as { controllerId?: string } | undefined
    return event?.controllerId ? [event.controllerId] : []
  })

suite('stream of events', () => {
  before(async () => {
    kernel = await openKernel()
    await kernel.start({ work: false })
  })
  after(async () => {
    // What a failed test left open must not keep the others waiting.
    for (const aborter of aborters) aborter.abort()
    await kernel.close()
  })

  test('loses and repeats nothing over reconnects to other processes, under 200 commits in random order', async () => {
    const user = await insertUser(kernel.db)
    const processes = [build(), build(), build()]
    const expected = new Set<string>()
    const seen: string[] = []
    let lastEventId: string | undefined
    const writing = { isOver: false }
    let seed = 7
    const random = (max: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return seed % max
    }

    // The first visit gives the place to go on from.
    const first = await open(processes[0]!, user)
    await until(() => first.frames.length > 0)
    lastEventId = first.lastId()
    await first.leave()

    const writers = Array.from({ length: 200 }, async (_, index) => {
      await sleep(random(1_500))
      const transaction = await kernel.db.transaction()
      const id = uuidv7()
      await kernel.events.emit(updated(user, id), transaction)
      await sleep(random(120))
      if (index % 10 === 9) await transaction.rollback()
      else {
        expected.add(id)
        await transaction.commit()
      }
    })
    const reader = (async () => {
      for (let visit = 0; !writing.isOver; visit += 1) {
        const wanted = 1 + random(12)
        let got = 0
        const client = await open(processes[visit % 3]!, user, {
          lastEventId,
          onFrame: (frame) => {
            if (frame.data !== undefined) got += 1
          },
        })
        // Leaves in the middle: what was sent but not read is not seen, as when a connection breaks.
        await until(() => got >= wanted || writing.isOver)
        const read = client.frames.slice(0, client.frames.length - random(3))
        await client.leave()
        seen.push(...controllersIn(read))
        lastEventId = read.findLast(({ id }) => id !== undefined)?.id ?? lastEventId
      }
    })()
    await Promise.all(writers)
    await sleep(500)
    writing.isOver = true
    await reader
    const last = await open(processes[0]!, user, { lastEventId })
    await until(() => new Set([...seen, ...controllersIn(last.frames)]).size >= expected.size)
    await sleep(200)
    await last.leave()
    seen.push(...controllersIn(last.frames))
    assert.equal(seen.length, new Set(seen).size, 'nothing twice')
    assert.deepEqual(new Set(seen), expected)
  })

  test('U17: brings only what belongs to the listener, in each direction of the wall between tenants', async () => {
    const module = build()
    const [mine, theirs] = [await insertUser(kernel.db), await insertUser(kernel.db)]
    const colleague = await insertUser(kernel.db)
    await insertMember(kernel.db, mine.workspaceId, colleague.userId, 'viewer')
    const clients = await Promise.all([mine, colleague, theirs].map((user) => open(module, user)))
    const notification = (): Notification => ({
      id: uuidv7(),
      type: 'controller_claimed',
      title: 't',
      message: 'm',
      data: {},
      isRead: false,
      createdAt: new Date().toISOString(),
    })
    const forMe = notification()
    notifications.set(forMe.id, forMe)
    await emit({
      type: 'notification.created',
      workspaceId: mine.workspaceId,
      userId: mine.userId,
      notificationId: forMe.id,
      kind: 'controller_claimed',
    })
    await emit({ type: 'notification.read', workspaceId: mine.workspaceId, userId: mine.userId, ids: null })
    await emit({
      type: 'controller.auth_failed',
      workspaceId: mine.workspaceId,
      controllerId: uuidv7(),
      remoteAddress: '192.0.2.1',
      reason: 'bad_secret',
    })
    const [a, b] = [updated(mine), updated(theirs)]
    await emit(a)
    await emit(b)
    await until(() => clients.every(({ frames }) => controllersIn(frames).length > 0))
    const kinds = clients.map(({ frames }) => frames.flatMap(({ event }) => event ?? []))
    assert.deepEqual(kinds, [
      ['notification.created', 'notification.read', 'controller.updated'],
      ['controller.updated'],
      ['controller.updated'],
    ])
    assert.deepEqual(
      clients.map(({ frames }) => controllersIn(frames)),
      [a, a, b].map((event) => ('controllerId' in event ? [event.controllerId] : [])),
    )
    // The same on replay.
    const start = clients.map(({ frames }) => frames[0]?.id)
    await Promise.all(clients.map((client) => client.leave()))
    const again = await Promise.all(
      [mine, colleague, theirs].map((user, index) => open(module, user, { lastEventId: start[index] })),
    )
    await until(() => again.every(({ frames }) => frames.length > 1))
    assert.deepEqual(
      again.map(({ frames }) => frames.flatMap(({ event }) => event ?? [])),
      kinds,
    )
    for (const { frames } of again) {
      for (const { data } of frames) if (data !== undefined) StreamEvent.parse(data)
    }
    await Promise.all(again.map((client) => client.leave()))
  })

  test('reads commands as they are now, and leaves out what is gone', async () => {
    const user = await insertUser(kernel.db)
    const client = await open(build(), user)
    const command: Command = {
      id: uuidv7(),
      controllerId: uuidv7(),
      name: 'reboot',
      params: {},
      state: 'acknowledged',
      result: 1,
      error: null,
      createdBy: null,
      createdAt: new Date().toISOString(),
      sentAt: null,
      finishedAt: null,
      expiresAt: new Date().toISOString(),
    }
    commands.set(command.id, command)
    const changed = {
      type: 'command.changed',
      workspaceId: user.workspaceId,
      controllerId: command.controllerId,
      createdBy: null,
    } as const
    await emit({ ...changed, commandId: uuidv7(), state: 'queued' })
    await emit({ ...changed, commandId: command.id, state: 'queued' })
    await until(() => client.frames.some(({ event }) => event === 'command.changed'))
    assert.deepEqual(
      client.frames.filter(({ event }) => event).map(({ data }) => data),
      [{ type: 'command.changed', controllerId: command.controllerId, command }],
    )
    await client.leave()
  })

  test('ends when the session ends, told or not, and other sessions go on', async () => {
    const module = build()
    const user = await insertUser(kernel.db)
    const [told, untold, other] = await Promise.all([1, 2, 3].map(() => open(module, user)))
    endedSessions.add(told!.sessionId)
    kernel.notifyGateway({ type: 'session_ended', sessionIds: [told!.sessionId] })
    await told!.ended
    endedSessions.add(untold!.sessionId)
    await untold!.ended
    const event = updated(user)
    await emit(event)
    await until(() => controllersIn(other!.frames).length === 1)
    await other!.leave()
  })

  test('ends for somebody who lost a workspace, and brings what a new one holds', async () => {
    const module = build()
    const [user, host] = [await insertUser(kernel.db), await insertUser(kernel.db)]
    const early = await open(module, user)
    await insertMember(kernel.db, host.workspaceId, user.userId, 'viewer')
    await sleep(100)
    kernel.notifyGateway({ type: 'access_changed', userId: user.userId, controllerId: null })
    await sleep(300)
    await emit(updated(host))
    await until(() => controllersIn(early.frames).length === 1)
    await kernel.db.query('DELETE FROM memberships WHERE workspace_id = $id AND user_id = $user', {
      bind: { id: host.workspaceId, user: user.userId },
    })
    await early.ended
    const next = await open(module, user, { lastEventId: early.frames[0]?.id })
    await emit(updated(user))
    await until(() => controllersIn(next.frames).length > 0)
    assert.equal(controllersIn(next.frames).length, 1)
    await next.leave()
  })

  test('ends when what it watches live is shared with the person no more', async () => {
    const module = build()
    const [owner, friend] = [await insertUser(kernel.db), await insertUser(kernel.db)]
    const [controllerId] = await insertControllers(kernel.db, owner, 1)
    const share = { bind: { controllerId, userId: friend.userId } }
    await assert.rejects(open(module, friend, { logs: [controllerId!] }), { code: 'not_found' })
    await kernel.db.query('INSERT INTO controller_shares VALUES ($controllerId, $userId, now())', share)
    const watching = await open(module, friend, { logs: [controllerId!] })
    const idle = await open(module, friend)
    await emit(updated(owner))
    await kernel.db.query('DELETE FROM controller_shares WHERE user_id = $userId', share)
    await watching.ended
    assert.deepEqual(controllersIn(watching.frames), [])
    await idle.leave()
  })

  test('cuts a reader that is too slow, who then goes on where they were', async () => {
    const module = build()
    const user = await insertUser(kernel.db)
    let release = (): void => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const slow = await open(module, user, { onFrame: () => held })
    const events = Array.from({ length: 1_400 }, () => updated(user))
    await kernel.db.transaction(async (transaction) => {
      for (const event of events) await kernel.events.emit(event, transaction)
    })
    const witness = await open(module, user)
    await emit(updated(user))
    await until(() => controllersIn(witness.frames).length === 1)
    release()
    await slow.ended
    const got = controllersIn(slow.frames).length
    assert.ok(got > 0 && got < 1_400)
    const next = await open(module, user, { lastEventId: slow.lastId() })
    await until(() => got + controllersIn(next.frames).length >= 1_401)
    assert.equal(new Set([...controllersIn(slow.frames), ...controllersIn(next.frames)]).size, 1_401)
    await Promise.all([witness.leave(), next.leave()])
  })

  test('starts over for a place it does not know, that is too old or not there yet', async () => {
    const module = build()
    const user = await insertUser(kernel.db)
    const fresh = await open(module, user)
    await until(() => fresh.frames.length > 0)
    assert.deepEqual(fresh.frames, [{ id: fresh.lastId() }])
    const [place = '', time = ''] = fresh.lastId()!.split('.')
    const old = `${place}.${(Number.parseInt(time, 36) - 23.5 * 3_600_000).toString(36)}`
    for (const lastEventId of ['nonsense', '', '1-2-3', old, `zzzzzzzzz-zzzzzzzzzz-0.${time}`]) {
      const client = await open(module, user, { lastEventId })
      await until(() => client.frames.length > 0)
      assert.equal(client.frames[0]?.event, 'stream.reset', lastEventId)
      assert.ok(client.frames[0]?.id)
      await client.leave()
    }
    await fresh.leave()
  })

  test('U17: brings live values to those who watch the controller, and to nobody else', async () => {
    const module = build()
    const [user, stranger] = [await insertUser(kernel.db), await insertUser(kernel.db)]
    const [id, other] = await insertControllers(kernel.db, user, 2)
    await assert.rejects(open(module, stranger, { metrics: [id!] }), { code: 'not_found' })
    await assert.rejects(open(module, stranger, { logs: [uuidv7()] }), { code: 'not_found' })
    const [metrics, logs, none] = await Promise.all([
      open(module, user, { metrics: [id!] }),
      open(module, user, { logs: [id!] }),
      open(module, user),
    ])
    const live = createLive(kernel)
    for (const controllerId of [id!, other!]) {
      live.publish(
        [{ id: uuidv7(), controllerId, type: 't', value: { a: 1 }, at: 5 }],
        Array.from({ length: 250 }, (_, index) => ({
          id: uuidv7(),
          controllerId,
          level: 'info' as const,
          message: `${index}`,
          at: 5,
        })),
      )
    }
    await kernel.store.publish(`wmoc:live:${id}`, 'not JSON')
    await kernel.store.publish(
      `wmoc:live:${id}`,
      JSON.stringify({ type: 'controller.deleted', controllerId: id }),
    )
    await until(() => metrics.frames.length === 2 && logs.frames.length === 4)
    assert.deepEqual(metrics.frames[1], {
      event: 'metrics.received',
      data: { type: 'metrics.received', controllerId: id, items: [{ type: 't', value: { a: 1 }, t: 5 }] },
    })
    const lines = logs.frames.flatMap(
      ({ data }) => (data as { items?: { message: string }[] } | undefined)?.items ?? [],
    )
    assert.deepEqual(
      lines.map(({ message }) => message),
      Array.from({ length: 250 }, (_, index) => `${index}`),
    )
    assert.equal(none.frames.length, 1)
    await Promise.all([metrics.leave(), logs.leave(), none.leave()])
  })

  test('bounds the streams of one person, and gives their places back', async () => {
    const module = build()
    const user = await insertUser(kernel.db)
    for (let round = 0; round < 3; round += 1) {
      const clients = await Promise.all(
        Array.from({ length: MAX_STREAMS_PER_USER }, () => open(module, user)),
      )
      await assert.rejects(open(module, user), { code: 'rate_limited' })
      await Promise.all(clients.map((client) => client.leave()))
    }
    await assert.rejects(open(module, user, { logs: [uuidv7()] }), { code: 'not_found' })
    const clients = await Promise.all(Array.from({ length: MAX_STREAMS_PER_USER }, () => open(module, user)))
    await Promise.all(clients.map((client) => client.leave()))
  })
})
