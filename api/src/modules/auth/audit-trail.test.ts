import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { rows } from '#src/kernel/rows.ts'
import { verifyAuditLog } from '#src/kernel/audit.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi } from '#src/testing/harness.ts'
import { createPasswords } from './passwords.ts'

const PASSWORD = 'correct horse battery'

let under: TestApi
before(async () => {
  under = await startApi()
})
after(() => under.close())

test('who signs in, commands and signs out is in the audit log, without what was said', async () => {
  const passwordHash = await createPasswords(under.config.PASSWORD_PEPPER).hash(PASSWORD)
  const person = await under.buildUser({ passwordHash })
  const client = under.client()
  const { accessToken } = await client.auth.login({ body: { email: person.email, password: PASSWORD } })
  const headers = { authorization: `Bearer ${accessToken}` }
  const controller = await under.buildController(person)
  const body = { name: 'door.open', params: { pin: '4711' } }
  const command = await client.commands.send({ params: { id: controller.id }, body, headers })
  await client.commands.cancel({ params: { id: controller.id, commandId: command.id }, headers })
  await client.auth.revokeOtherSessions({ headers })

  const written = await rows<{ action: string; after: unknown }>(
    under.api.kernel.db,
    'SELECT action, after FROM audit_log WHERE actor_id = $id ORDER BY seq',
    { id: person.userId },
  )
  const actions = written.map(({ action }) => action)
  for (const action of ['session.opened', 'command.queued', 'command.withdrawn', 'session.ended']) {
    assert.ok(actions.includes(action), `${action} in ${actions.join(', ')}`)
  }
  assert.match(JSON.stringify(written), /door\.open/)
  assert.doesNotMatch(JSON.stringify(written), /4711/)
  assert.equal((await verifyAuditLog(under.api.kernel.db)).brokenAt, null)
})
