/** U9: what a handler does not ask is asked for it. */
import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { AppError } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import { openControllers } from '#src/testing/controllers.ts'
import type { ControllersUnderTest } from '#src/testing/controllers.ts'
import { insertMember } from '#src/testing/plain-rows.ts'
import { route } from './contract.ts'
import type { RouteDescription } from './contract.ts'
import { permissionCheck } from './permission-check.ts'

const at = (path: string, access: RouteDescription['access']) =>
  route({ method: 'POST', path, summary: 'made up', access, status: 204 })

suite('U9: the permission of a route', () => {
  let under: ControllersUnderTest
  before(async () => {
    under = await openControllers()
  })
  after(() => under.close())

  const check = (path: string, access: RouteDescription['access']) =>
    permissionCheck('made.up', at(path, access), under.controllers.access)
  const refusal = async (asked: Promise<void>) => {
    try {
      await asked
      return 'passed'
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return error.code
    }
  }

  test('is asked of the role on the controller: not_found for strangers, forbidden for lower roles', async () => {
    const [owner, viewer, stranger] = await Promise.all([1, 2, 3].map(() => under.buildUser()))
    const { id } = await under.buildController(owner!)
    await insertMember(under.kernel.db, owner!.workspaceId, viewer!.userId, 'viewer')
    const ask = check('/api/controllers/:id/valve', 'controllers.command')
    assert.equal(await refusal(ask(owner!.userId, { id })), 'passed')
    assert.equal(await refusal(ask(viewer!.userId, { id })), 'forbidden')
    assert.equal(await refusal(ask(stranger!.userId, { id })), 'not_found')
    assert.equal(await refusal(ask(owner!.userId, { id: uuidv7() })), 'not_found')
  })

  test('is asked of the role in the workspace', async () => {
    const [owner, operator] = [await under.buildUser(), await under.buildUser()]
    await insertMember(under.kernel.db, owner.workspaceId, operator.userId, 'operator')
    const ask = check('/api/workspaces/:id', 'workspace.manage')
    assert.equal(await refusal(ask(owner.userId, { id: owner.workspaceId })), 'passed')
    assert.equal(await refusal(ask(operator.userId, { id: owner.workspaceId })), 'forbidden')
  })

  test('on a collection is had where one workspace gives it', async () => {
    const person = await under.buildUser()
    const ask = check('/api/controllers', 'controllers.claim')
    assert.equal(await refusal(ask(person.userId, {})), 'passed')
    assert.equal(await refusal(ask(uuidv7(), {})), 'forbidden')
  })

  test('stops the process at its start where it could not be asked, or is not named', () => {
    assert.throws(() => check('/api/pumps/:id', 'controllers.read'), /nobody knows the owner/)
    assert.throws(() => check('/api/controllers/:id/valve', 'user'), /names no permission/)
    assert.throws(() => check('/api/controllers/:id', 'public'), /names no permission/)
  })
})
