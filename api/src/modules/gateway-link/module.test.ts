import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { uuidv7 } from '@wmoc/platform/ids'
import { rows } from '#src/kernel/rows.ts'
import { describeDevice } from '#src/testing/controllers.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import { waitFor } from '#src/testing/wait-for.ts'

suite('between portal, API and gateway', () => {
  let under: TestApi
  before(async () => {
    under = await startApi()
  })
  after(() => under.close())

  const post = (user: TestUser, path: string, body: unknown, headers: Record<string, string> = {}) =>
    under.request(path, {
      as: user,
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const put = (user: TestUser, path: string, body: unknown, headers: Record<string, string> = {}) =>
    under.request(path, {
      as: user,
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code

  test('a token from the portal activates a device that connects and is seen online', async () => {
    const user = await under.buildUser()
    const client = under.client(user)
    const made = await client.controllers.activate({ body: { name: 'Boiler' } })
    assert.ok(made.kind === 'token')
    const redeemed = await under.internal('activations/redeem', {
      token: made.token,
      device: describeDevice(),
    })
    assert.ok(redeemed.outcome === 'issued')
    const { controllerId } = redeemed.controller
    const looked = await under.internal('controllers/lookup', { ids: [controllerId], labels: [] })
    assert.deepEqual(looked.controllers, [redeemed.controller])
    const connected = {
      type: 'connected' as const,
      controllerId,
      epoch: 1_800_000_000_000,
      shard: 'gateway-0',
      websocketId: uuidv7(),
      device: describeDevice(),
      at: Date.now(),
    }
    assert.deepEqual(await under.internal('events', { events: [connected] }), { accepted: 1 })
    const status = await client.controllers.status({ params: { id: controllerId } })
    assert.equal(status.status, 'online')
    assert.equal(status.session?.epoch, connected.epoch)
    assert.equal((await client.controllers.list({})).items[0]?.status, 'online')
  })

  test('a code that a device shows is looked at, claimed and collected', async () => {
    const user = await under.buildUser()
    const client = under.client(user)
    const opened = await under.internal('activations/open', { device: describeDevice({ model: 'Relay 2' }) })
    assert.ok(opened.outcome === 'opened')
    const code = opened.userCode.toLowerCase()
    assert.equal((await client.controllers.previewClaim({ body: { code } })).model, 'Relay 2')
    const claimed = await client.controllers.activate({ body: { code, name: 'Pump' } })
    assert.ok(claimed.kind === 'claimed' && claimed.controller.name === 'Pump')
    const { claimId, claimSecret } = opened
    const collected = await under.internal('activations/collect', { claimId, claimSecret })
    assert.ok(collected.outcome === 'issued')
    const again = await post(user, '/api/controllers/activate', { code })
    assert.equal(again.status, 400)
    assert.equal(await codeOf(again), 'code_invalid')
  })

  test('a command travels to the device and back, and its rotation and deletion reach the gateway', async () => {
    const user = await under.buildUser()
    const client = under.client(user)
    const { id } = await under.buildController(user)
    const sent = await client.commands.send({
      params: { id },
      body: { name: 'relay.set', params: { on: true } },
    })
    const { commands } = await under.internal('commands/take', { controllerIds: [id] })
    assert.deepEqual(
      commands.map((command) => [command.id, command.name, command.params]),
      [[sent.id, 'relay.set', { on: true }]],
    )
    const results = [{ controllerId: id, id: sent.id, ok: true, result: { on: true } }]
    assert.deepEqual(await under.internal('commands/results', { results }), { accepted: 1 })
    const done = await client.commands.get({ params: { id, commandId: sent.id } })
    assert.equal(done.state, 'acknowledged')

    assert.equal((await client.controllers.rotateCredentials({ params: { id } })).rotationPending, true)
    const issued = await under.internal('credentials/issue', { controllerId: id })
    assert.ok(issued.outcome === 'issued' && issued.controller.verifiers.length === 2)
    const verifier = issued.controller.verifiers[1]!
    const promoted = await under.internal('credentials/promote', { controllerId: id, verifier })
    assert.deepEqual(promoted.controller.verifiers, [verifier])

    await client.controllers.remove({ params: { id } })
    assert.equal((await under.request(`/api/controllers/${id}`, { as: user })).status, 404)
    const { controllers } = await under.internal('controllers/lookup', { ids: [id], labels: [] })
    assert.ok(controllers.every(({ state, verifiers }) => state === 'revoked' && verifiers.length === 0))
    await waitFor(async () => {
      const left = await rows(under.api.kernel.db, 'SELECT id FROM controllers WHERE id = $id', { id })
      return left.length === 0
    })
  })

  test('U15: a repeated POST with one Idempotency-Key makes one command; another body is 422', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    const path = `/api/controllers/${id}/commands`
    const key = { 'idempotency-key': uuidv7() }
    const body = { name: 'valve.open', params: {} }
    const answers = await Promise.all(Array.from({ length: 5 }, () => post(user, path, body, key)))
    const bodies = await Promise.all(
      answers
        .filter((answer) => answer.status === 202)
        .map((answer) => answer.json() as Promise<{ id: string }>),
    )
    const [repeat] = [await post(user, path, body, key)]
    assert.equal(repeat?.status, 202)
    const ids = new Set([...bodies.map((each) => each.id), ((await repeat.json()) as { id: string }).id])
    assert.equal(ids.size, 1)
    const { items } = await under.client(user).commands.list({ params: { id } })
    assert.equal(items.length, 1)
    const other = await post(user, path, { ...body, name: 'valve.close' }, key)
    assert.equal(other.status, 422)
  })

  test('an edit carries the ETag it was made on', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    const path = `/api/controllers/${id}`
    const etag = (await under.request(path, { as: user })).headers.get('etag') ?? ''
    assert.match(etag, /^"\d+"$/)
    const first = await put(user, path, { name: 'one' }, { 'if-match': etag })
    assert.equal(first.status, 200)
    assert.notEqual(first.headers.get('etag'), etag)
    const second = await put(user, path, { name: 'two' }, { 'if-match': etag })
    assert.equal(second.status, 412)
    assert.equal(await codeOf(second), 'version_conflict')
  })

  test('U10: what a caller may not set is refused, not ignored', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    for (const extra of [
      { userId: uuidv7() },
      { isActive: true },
      { macAddress: 'AA:AA:AA:AA:AA:AA' },
      { version: 9 },
    ]) {
      assert.equal((await put(user, `/api/controllers/${id}`, { name: 'x', ...extra })).status, 400)
      assert.equal((await post(user, '/api/controllers/activate', { name: 'x', ...extra })).status, 400)
    }
  })

  test('commands that ran out are ended by the worker within seconds', async () => {
    const user = await under.buildUser()
    const client = under.client(user)
    const { id } = await under.buildController(user)
    const { id: commandId } = await client.commands.send({
      params: { id },
      body: { name: 'blink', ttlSec: 5 },
    })
    under.advance(5_001)
    await waitFor(async () => (await client.commands.get({ params: { id, commandId } })).state === 'expired')
  })
})
