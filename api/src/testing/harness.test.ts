import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { startApi } from './harness.ts'
import type { TestApi } from './harness.ts'

suite('the API as a whole', () => {
  let under: TestApi
  before(async () => {
    under = await startApi()
  })
  after(() => under.close())

  test('answers who I am, what I own and what the gateway asks', async () => {
    const user = await under.buildUser()
    const client = under.client(user)
    const me = await client.auth.me()
    assert.equal(me.email, user.email)
    assert.equal(me.usage.controllers, 0)
    const { id } = await under.buildController(user, { name: 'Boiler' })
    assert.equal((await client.controllers.get({ params: { id } })).name, 'Boiler')
    assert.equal((await client.auth.me()).usage.controllers, 1)
    const checks = [{ userId: user.userId, controllerId: id }]
    assert.deepEqual(await under.internal('access/check', { checks }), { roles: ['owner'] })
  })
})
