import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, suite, test } from 'node:test'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import fc from 'fast-check'
import { rows } from '#src/kernel/rows.ts'
import { openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import type { PlainUser } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import type { Command, CommandState } from './contract.ts'
import { nextState } from './core/command-state.ts'
import { MAX_UNFINISHED } from './service.ts'

suite('commands', () => {
  let under: ControllersUnderTest
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const service = () => under.commands.service
  const owned = async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    return { user, id }
  }
  const send = (user: PlainUser, id: string, ttlSec = 3_600, params: Command['params'] = {}) =>
    service().send(user.userId, id, { name: 'relay.set', params, ttlSec })
  const take = async (...controllerIds: string[]) => (await service().take({ controllerIds })).commands
  const finish = (controllerId: string, id: string, ok = true) =>
    service().results({
      results: [{ controllerId, id, ok, result: { done: true }, ...(ok ? {} : { error: 'stuck' }) }],
    })
  const stateOf = async (user: PlainUser, id: string, commandId: string) =>
    (await service().get(user.userId, id, commandId)).state
  const changesOf = async (commandId: string) =>
    (await under.events('command.changed'))
      .filter((event) => event['commandId'] === commandId)
      .map((event) => event['state'])

  test('wait while the controller is away, go out in order, and end with the device’s answer', async () => {
    const { user, id } = await owned()
    const first = await send(user, id, 60, { relay: 1, on: true })
    const second = await send(user, id)
    assert.equal(first.state, 'queued')
    assert.deepEqual(first.createdBy, { id: user.userId, email: user.email })
    const taken = await take(id)
    assert.deepEqual(
      taken.map((command) => command.id),
      [first.id, second.id],
    )
    assert.deepEqual(taken[0]?.params, { relay: 1, on: true })
    assert.equal(taken[0]?.expiresAt, Date.parse(first.expiresAt))
    await finish(id, first.id)
    await finish(id, second.id, false)
    const { items } = await service().list(user.userId, id, { limit: 50 })
    assert.deepEqual(
      items.map(({ state, result, error }) => ({ state, result, error })),
      [
        { state: 'failed', result: { done: true }, error: 'stuck' },
        { state: 'acknowledged', result: { done: true }, error: null },
      ],
    )
    assert.deepEqual(await changesOf(first.id), ['queued', 'sent', 'acknowledged'])
  })

  test('that were sent and not answered come again with the same id, told once as sent', async () => {
    const { user, id } = await owned()
    const command = await send(user, id)
    const [once_] = await take(id)
    const [again] = await take(id)
    assert.deepEqual(once_, again)
    await finish(id, command.id)
    assert.deepEqual(await take(id), [])
    assert.deepEqual(await changesOf(command.id), ['queued', 'sent', 'acknowledged'])
  })

  test('tell the gateway after commit', async () => {
    const { user, id } = await owned()
    const heard: string[] = []
    const end = await under.kernel.store.subscribe(GATEWAY_CHANNEL, (message) => heard.push(message))
    await send(user, id)
    await waitFor(() => heard.length > 0)
    await end()
    assert.deepEqual(JSON.parse(heard[0]!), { type: 'commands_queued', controllerId: id })
  })

  test('for many controllers are taken in one go, each told once as sent by many takers', async () => {
    const first = await owned()
    const second = await owned()
    for (let round = 0; round < 20; round++) {
      const sent = [await send(first.user, first.id), await send(second.user, second.id)]
      const answers = await Promise.all(Array.from({ length: 8 }, () => take(first.id, second.id)))
      for (const { id } of sent) {
        assert.ok(answers.flat().some((command) => command.id === id))
        assert.deepEqual(await changesOf(id), ['queued', 'sent'])
        assert.deepEqual(await finish(first.id, id), { accepted: id === sent[0]?.id ? 1 : 0 })
      }
      await finish(second.id, sent[1]!.id)
    }
  })

  test('that run out are not sent and end as expired; a result after that is ignored', async () => {
    const { user, id } = await owned()
    const queued = await send(user, id, 5)
    const late = await owned()
    const sent = await send(late.user, late.id, 5)
    await take(late.id)
    under.advance(5_001)
    assert.deepEqual(await take(id), [])
    assert.equal(await service().expireDue(), 2)
    assert.deepEqual(await finish(late.id, sent.id), { accepted: 0 })
    assert.equal(await stateOf(user, id, queued.id), 'expired')
    assert.equal(await stateOf(late.user, late.id, sent.id), 'expired')
    assert.deepEqual(await changesOf(sent.id), ['queued', 'sent', 'expired'])
  })

  test('are withdrawn while queued, and not once they are on their way', async () => {
    const { user, id } = await owned()
    const command = await send(user, id)
    await service().cancel(user.userId, id, command.id)
    const withdrawn = await service().get(user.userId, id, command.id)
    assert.equal(withdrawn.state, 'expired')
    assert.equal(withdrawn.error, 'withdrawn')
    assert.deepEqual(await take(id), [])
    const sent = await send(user, id)
    await take(id)
    await assert.rejects(service().cancel(user.userId, id, sent.id), { code: 'command_already_sent' })
  })

  test('of one controller are bounded exactly, also by senders at the same time', async () => {
    const { user, id } = await owned()
    const outcomes = await Promise.allSettled(
      Array.from({ length: MAX_UNFINISHED + 20 }, () => send(user, id)),
    )
    assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, MAX_UNFINISHED)
    await assert.rejects(send(user, id), { code: 'too_many_queued' })
    const [command] = await take(id)
    await finish(id, command!.id)
    await send(user, id)
  })

  test('with parameters too big or too deep are refused by name of the field', async () => {
    const { user, id } = await owned()
    await assert.rejects(send(user, id, 60, 'x'.repeat(9_000)), {
      code: 'validation_failed',
      fields: [{ path: 'body.params', code: 'too_big', message: 'larger than 8192 bytes' }],
    })
  })

  test('take results with any text a device may send', async () => {
    const { user, id } = await owned()
    const command = await send(user, id)
    await take(id)
    const result = JSON.parse('{"__proto__":{"x":1},"t":"a\\u0000\\ud800"}') as Command['result']
    await service().results({
      results: [
        { controllerId: id, id: command.id, ok: false, result, error: 'bad\0' },
        { controllerId: id, id: command.id, ok: true },
      ],
    })
    const finished = await service().get(user.userId, id, command.id)
    assert.equal(finished.state, 'failed')
    assert.equal(finished.error, 'bad\uFFFD')
    assert.equal((finished.result as { t: string }).t, 'a\uFFFD\uFFFD')
  })

  test('a result for another controller’s command changes nothing', async () => {
    const mine = await owned()
    const theirs = await owned()
    const command = await send(mine.user, mine.id)
    await take(mine.id)
    assert.deepEqual(await finish(theirs.id, command.id), { accepted: 0 })
    assert.equal(await stateOf(mine.user, mine.id, command.id), 'sent')
  })

  test('U9: are 404 for a stranger, whether the ids are real or not', async () => {
    const { user, id } = await owned()
    const command = await send(user, id)
    const stranger = await under.buildUser()
    const other = await under.buildController(stranger)
    const calls = [
      () => send(stranger, id),
      () => service().list(stranger.userId, id, { limit: 50 }),
      () => service().get(stranger.userId, id, command.id),
      () => service().get(stranger.userId, other.id, command.id),
      () => service().cancel(stranger.userId, id, command.id),
      () => service().cancel(stranger.userId, other.id, command.id),
    ]
    for (const call of calls) await assert.rejects(call(), { code: 'not_found' })
    assert.equal(await stateOf(user, id, command.id), 'queued')
  })

  test('history pages back through everything, newest first', async () => {
    const { user, id } = await owned()
    const sent: string[] = []
    for (let count = 0; count < 7; count++) sent.unshift((await send(user, id)).id)
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page = await service().list(user.userId, id, { limit: 3, ...(cursor === null ? {} : { cursor }) })
      seen.push(...page.items.map((command) => command.id))
      cursor = page.nextCursor
    } while (cursor !== null)
    assert.deepEqual(seen, sent)
  })

  test('live as the state machine says, whatever happens in whatever order', async () => {
    const operation = fc.constantFrom('take', 'succeed', 'fail', 'expire', 'withdraw')
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 6 }), async (operations) => {
        const { user, id } = await owned()
        const command = await send(user, id, 5)
        let expected: CommandState = 'queued'
        for (const event of operations) {
          if (event === 'take') await take(id)
          if (event === 'succeed' || event === 'fail') await finish(id, command.id, event === 'succeed')
          if (event === 'withdraw')
            await service()
              .cancel(user.userId, id, command.id)
              .catch(() => {})
          if (event === 'expire') {
            under.advance(6_000)
            await service().expireDue()
          }
          expected = nextState(expected, event)
          assert.equal(await stateOf(user, id, command.id), expected)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('1,000 of them survive kill -9 of the deliverer: each done once, none lost', async () => {
    const { user, id } = await owned()
    await rows(
      under.kernel.db,
      `INSERT INTO commands (id, controller_id, workspace_id, name, params, state, created_by, created_at, expires_at)
       SELECT gen_random_uuid(), $id, $workspaceId, 'count', '{}', 'queued', $userId, now(), now() + interval '1 hour'
       FROM generate_series(1, 1000) RETURNING id`,
      { id, workspaceId: user.workspaceId, userId: user.userId },
    )
    /** The device: does what it hasn't done yet. */
    const done = new Map<string, number>()
    let repeats = 0
    for (let round = 0, isIdle = false; !isIdle; round++) {
      const deliverer = spawn(
        process.execPath,
        ['src/testing/take-commands.ts', under.kernel.config.DATABASE_URL, under.kernel.config.REDIS_URL, id],
        { cwd: new URL('../../../', import.meta.url), stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const exited = once(deliverer, 'exit')
      let lines = 0
      for await (const line of createInterface({ input: deliverer.stdout })) {
        isIdle = line === 'idle'
        if (isIdle) break
        const command = line.slice('deliver '.length)
        if (done.has(command)) repeats++
        else done.set(command, (done.get(command) ?? 0) + 1)
        // Somewhere in the middle of what it took.
        if (++lines === 250 * (round + 1)) deliverer.kill('SIGKILL')
      }
      deliverer.kill('SIGKILL')
      await exited
    }
    assert.equal(done.size, 1_000)
    assert.ok(repeats > 0, 'it was never killed between a delivery and its result')
    const states = await rows(
      under.kernel.db,
      'SELECT state, count(*)::int AS count FROM commands WHERE controller_id = $id GROUP BY state',
      { id },
    )
    assert.deepEqual(states, [{ state: 'acknowledged', count: 1_000 }])
  })
})
