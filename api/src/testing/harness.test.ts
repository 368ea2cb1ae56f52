import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { testRedis } from '@wmoc/testkit/redis'
import { startApi } from './harness.ts'
import type { TestApi } from './harness.ts'
import { waitFor } from './wait-for.ts'

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

test(
  'starts, signs in and counts limits while Redis is away, and uses it when it comes',
  { timeout: 60_000 },
  async () => {
    const gone = await testRedis()
    await gone.stop()
    const under = await startApi({ env: { REDIS_URL: gone.url } })
    try {
      const user = await under.buildUser()
      const first = await under.request('/api/auth/me', { as: user })
      assert.equal(first.status, 200)
      assert.equal(first.headers.get('ratelimit-limit'), '150', 'a quarter of the figure of the tier')
      const redis = await testRedis({ port: gone.port })
      await waitFor(async () => {
        const response = await under.request('/api/auth/me', { as: user })
        return response.headers.get('ratelimit-limit') === '600'
      }, 30_000)
      await redis.stop()
    } finally {
      await under.close()
    }
  },
)
