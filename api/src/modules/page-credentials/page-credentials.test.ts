import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { uuidv7 } from '@wmoc/platform/ids'
import { createSecretBox } from '@wmoc/platform/secret-box'
import { pageCredentialKey } from '@wmoc/protocol/control-plane'
import type { PageCredential } from '@wmoc/protocol/control-plane'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import { insertMember } from '#src/testing/plain-rows.ts'
import { createPageCredentials } from './service.ts'

const CREDENTIAL: PageCredential = {
  scheme: 'digest',
  realm: 'Boiler',
  username: 'admin',
  password: 'пароль-7Q',
  port: null,
}

suite('sign-ins to devices’ own pages', () => {
  let under: TestApi
  before(async () => {
    under = await startApi({ worker: false })
  })
  after(() => under.close())

  async function remembered(user: TestUser): Promise<{ userId: string; controllerId: string }> {
    const { id } = await under.buildController(user)
    return keep(user.userId, id)
  }

  async function keep(userId: string, controllerId: string) {
    const owner = { userId, controllerId }
    assert.deepEqual(await under.internal('page-credentials/put', { ...owner, credential: CREDENTIAL }), {
      kept: true,
    })
    return owner
  }

  const credentialOf = async (owner: { userId: string; controllerId: string }) =>
    (await under.internal('page-credentials/get', owner)).remembered?.credential ?? null

  const rowsOf = (controllerId: string) =>
    rows<{ userId: string; sealed: string }>(
      under.api.kernel.db,
      'SELECT user_id AS "userId", sealed FROM page_credentials WHERE controller_id = $controllerId',
      { controllerId },
    )

  test('come back to the gateway for the one person who gave them', async () => {
    const [user, other] = [await under.buildUser(), await under.buildUser()]
    const owner = await remembered(user)
    await insertMember(under.api.kernel.db, user.workspaceId, other.userId, 'admin')
    assert.deepEqual(await credentialOf(owner), CREDENTIAL)
    assert.equal(await credentialOf({ ...owner, userId: other.userId }), null)
    assert.equal(await credentialOf({ ...owner, controllerId: (await under.buildController(user)).id }), null)
  })

  test('are shown to that person without the password, and never in the audit log', async () => {
    const user = await under.buildUser()
    const { controllerId } = await remembered(user)
    const answer = await under.request(`/api/controllers/${controllerId}/page-credentials`, { as: user })
    const text = await answer.text()
    const { remembered: shown } = JSON.parse(text) as { remembered: Record<string, unknown> }
    assert.deepEqual(Object.keys(shown).toSorted(), ['realm', 'savedAt', 'scheme', 'username'])
    assert.ok(!text.includes(CREDENTIAL.password))
    const entries = await rows<{ text: string }>(
      under.api.kernel.db,
      `SELECT a::text AS text FROM audit_log a WHERE target = $target ORDER BY seq`,
      { target: `controller:${controllerId}` },
    )
    assert.ok(entries.some((entry) => entry.text.includes('page_credentials.remembered')))
    assert.ok(entries.every((entry) => !entry.text.includes(CREDENTIAL.password)))
  })

  test('lie in the database sealed, bound to person and controller', async () => {
    const user = await under.buildUser()
    const owner = await remembered(user)
    const [row] = await rowsOf(owner.controllerId)
    assert.match(row!.sealed, /^v1\.[0-9a-f]{8}\./)
    assert.ok(!row!.sealed.includes(CREDENTIAL.username) && !row!.sealed.includes('admin'))
    const second = await remembered(user)
    await rows(
      under.api.kernel.db,
      'UPDATE page_credentials SET sealed = $sealed WHERE controller_id = $controllerId',
      { sealed: row!.sealed, controllerId: second.controllerId },
    )
    assert.equal(await credentialOf(second), null)
  })

  test('sealed under the previous key open after a rotation and are sealed anew', async () => {
    const user = await under.buildUser()
    const owner = await remembered(user)
    const { kernel, modules } = under.api
    const present = under.config.SECRETS_KEY
    const next = randomBytes(32)
    const service = (keys: Buffer[]) =>
      createPageCredentials(kernel, { secrets: createSecretBox(keys), access: modules.controllers.access })
    const earlier = (await rowsOf(owner.controllerId))[0]!.sealed
    assert.deepEqual((await service([next, present]).get(owner)).remembered?.credential, CREDENTIAL)
    assert.notEqual((await rowsOf(owner.controllerId))[0]!.sealed, earlier)
    assert.deepEqual((await service([next]).get(owner)).remembered?.credential, CREDENTIAL)
    assert.equal((await service([randomBytes(32)]).get(owner)).remembered, null)
  })

  test('are forgotten on request, with what gateways hold for a session, and that may be repeated', async () => {
    const user = await under.buildUser()
    const owner = await remembered(user)
    const key = pageCredentialKey(owner.controllerId, owner.userId)
    const { store } = under.api.kernel
    await store.set(key, 'sealed', { ttlMs: 60_000 })
    const notices: string[] = []
    const end = await store.subscribe('wmoc:gateway', (message) => notices.push(message))
    const client = under.client(user).pageCredentials
    const params = { id: owner.controllerId }
    await client.forget({ params })
    await client.forget({ params })
    assert.equal((await client.get({ params })).remembered, null)
    assert.equal(await credentialOf(owner), null)
    assert.equal(await store.get(key), null)
    await end()
    assert.ok(notices.some((notice) => notice.includes('page_credentials_changed')))
  })

  test('that the device refused go, unless a newer one was given meanwhile', async () => {
    const user = await under.buildUser()
    const owner = await remembered(user)
    const { remembered: first } = await under.internal('page-credentials/get', owner)
    under.advance(1_000)
    await keep(owner.userId, owner.controllerId)
    const savedAt = first!.savedAt
    assert.deepEqual(await under.internal('page-credentials/forget', { ...owner, savedAt }), {
      forgotten: false,
    })
    const { remembered: second } = await under.internal('page-credentials/get', owner)
    assert.deepEqual(
      await under.internal('page-credentials/forget', { ...owner, savedAt: second!.savedAt }),
      { forgotten: true },
    )
    assert.equal(await credentialOf(owner), null)
  })

  test('go with a membership, a share, a change of workspace and the controller', async () => {
    const { db } = under.api.kernel
    const owner = await under.buildUser()
    const [member, guest] = [await under.buildUser(), await under.buildUser()]
    const { id } = await under.buildController(owner)
    await insertMember(db, owner.workspaceId, member.userId, 'operator')
    await rows(
      db,
      'INSERT INTO controller_shares (id, controller_id, user_id, created_at) VALUES ($row, $id, $userId, now())',
      { row: uuidv7(), id, userId: guest.userId },
    )
    for (const { userId } of [owner, member, guest]) await keep(userId, id)
    const holders = async () => (await rowsOf(id)).map(({ userId }) => userId).toSorted()
    await rows(db, 'DELETE FROM memberships WHERE user_id = $userId AND workspace_id = $workspaceId', {
      userId: member.userId,
      workspaceId: owner.workspaceId,
    })
    assert.deepEqual(await holders(), [owner.userId, guest.userId].toSorted())
    await rows(db, 'DELETE FROM controller_shares WHERE user_id = $userId', { userId: guest.userId })
    assert.deepEqual(await holders(), [owner.userId])
    await rows(db, 'UPDATE controllers SET workspace_id = $workspaceId WHERE id = $id', {
      id,
      workspaceId: member.workspaceId,
    })
    assert.deepEqual(await holders(), [])
    const second = await remembered(owner)
    await under.client(owner).controllers.remove({ params: { id: second.controllerId } })
    assert.deepEqual(await rowsOf(second.controllerId), [])
  })

  test('are not kept for somebody without access', async () => {
    const { id } = await under.buildController(await under.buildUser())
    const { userId } = await under.buildUser()
    const put = await under.internal('page-credentials/put', {
      userId,
      controllerId: id,
      credential: CREDENTIAL,
    })
    assert.deepEqual(put, { kept: false })
    assert.deepEqual(await rowsOf(id), [])
  })

  test('of a controller that is away: when it was last seen and what waits for it', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    await under.client(user).commands.send({ params: { id }, body: { name: 'reboot' } })
    const seen = await firstRow<{ at: Date | null }>(
      under.api.kernel.db,
      'SELECT last_seen_at AS at FROM controllers WHERE id = $id',
      { id },
    )
    assert.deepEqual(await under.internal('controllers/away', { controllerId: id }), {
      lastSeenAt: seen!.at?.getTime() ?? null,
      queuedCommands: 1,
    })
    assert.deepEqual(await under.internal('controllers/away', { controllerId: uuidv7() }), {
      lastSeenAt: null,
      queuedCommands: 0,
    })
  })
})
