/** F4: who reads where, and what callers hear while Postgres is away. The "replica" here is a database that lags for ever. */
import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { createLogger } from '@wmoc/platform/log'
import { freePort } from '@wmoc/testkit/free-port'
import { startPostgres } from '@wmoc/testkit/postgres'
import { DataTypes } from 'sequelize'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi } from '#src/testing/harness.ts'
import { openMigratedDatabase, quietLog } from '#src/testing/plain-rows.ts'
import type { PlainDatabase } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { createDatabase } from './db.ts'
import { rows } from './rows.ts'

suite('F4: with a replica that lags', () => {
  let under: TestApi
  let replica: PlainDatabase
  before(async () => {
    replica = await openMigratedDatabase()
    under = await startApi({ worker: false, env: { DATABASE_REPLICA_URLS: replica.url } })
  })
  after(async () => {
    await under.close()
    await replica.close()
  })

  test('a plain read is answered by the replica, a read after an own write by the primary', async () => {
    const user = await under.buildUser()
    await copyUser(under, replica, user.userId)
    const client = under.client(user)
    assert.equal((await client.auth.me()).name, 'as the replica has it')
    // On a machine that needs seconds for two requests the time of an own write may be over.
    await waitFor(async () => {
      await client.auth.updateMe({ body: { name: 'new' } })
      return (await client.auth.me()).name === 'new'
    })
    await new Promise((resolve) => setTimeout(resolve, 2_100))
    assert.equal((await client.auth.me()).name, 'as the replica has it')
  })

  test('what another person writes does not send this one to the primary', async () => {
    const [user, other] = [await under.buildUser(), await under.buildUser()]
    await copyUser(under, replica, user.userId)
    await under.client(other).auth.updateMe({ body: { name: 'new' } })
    assert.equal((await under.client(user).auth.me()).name, 'as the replica has it')
  })

  test('the gateway is always answered by the primary', async () => {
    const user = await under.buildUser()
    const { id } = await under.buildController(user)
    const { controllers } = await under.internal('controllers/lookup', { ids: [id], labels: [] })
    assert.equal(controllers.length, 1)
  })
})

test('F4: connections that die at any moment are errors of their callers, never of the process', async () => {
  const { db: killer, url, close } = await openMigratedDatabase()
  const name = `victim ${process.pid}`
  const victim = createDatabase({ url, poolMax: 4, log: quietLog, applicationName: name })
  const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = $name AND state <> 'idle'`
  const killing = setInterval(() => void rows(killer, kill, { name }).catch(() => {}), 5)
  const work = async () => {
    for (let failed = 0; failed < 100;) {
      failed += await victim
        .transaction((transaction) => rows(victim, 'SELECT pg_sleep(0.002)', {}, transaction))
        .then(
          () => 0,
          () => 1,
        )
    }
  }
  await Promise.all([work(), work(), work(), work()])
  clearInterval(killing)
  await waitFor(async () => (await rows(victim, 'SELECT 1', {}).catch(() => [])).length === 1)
  await victim.close()
  await close()
})

test('F4: with every replica away the primary answers reads', async () => {
  const gone = `postgres://nobody@127.0.0.1:${await freePort()}/nothing`
  const under = await startApi({ worker: false, env: { DATABASE_REPLICA_URLS: gone } })
  try {
    const user = await under.buildUser()
    assert.equal((await under.client(user).auth.me()).id, user.userId)
  } finally {
    await under.close()
  }
})

test("what Sequelize warns of is a line of our log, not of the console's", async () => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const log = createLogger({ process: 'test', format: 'json', stream })
  const db = createDatabase({ url: 'postgres://nobody@127.0.0.1:1/nothing', poolMax: 2, log })
  const Thing = db.define('Thing', { title: DataTypes.STRING })
  await assert.rejects(Thing.findOne({ title: 'forgotten' } as object))
  await db.close()
  await waitFor(() => lines.length === 1)
  const line = JSON.parse(lines[0]!) as Record<string, string>
  assert.equal(line['event.category'], 'db')
  assert.match(line['message']!, /forget to use options.where/)
})

test('F4: while Postgres is away callers hear 503 with Retry-After, and what needs no database is answered', async () => {
  const server = await startPostgres()
  const own = process.env['WMOC_TEST_POSTGRES_URL']
  process.env['WMOC_TEST_POSTGRES_URL'] = server.url
  const under = await startApi({ worker: false })
  if (own === undefined) delete process.env['WMOC_TEST_POSTGRES_URL']
  else process.env['WMOC_TEST_POSTGRES_URL'] = own
  try {
    const user = await under.buildUser()
    assert.equal((await under.request('/api/auth/me', { as: user })).status, 200)
    await server.stop()
    const response = await under.request('/api/auth/me', { as: user })
    assert.equal(response.status, 503)
    assert.equal(((await response.json()) as { code: string }).code, 'dependency_unavailable')
    assert.ok(Number(response.headers.get('retry-after')) > 0)
    const checks = [{ userId: user.userId, controllerId: user.userId }]
    await assert.rejects(under.internal('access/check', { checks }), /503/)
    assert.equal((await under.request('/api/meta')).status, 200)
  } finally {
    await under.api.lifecycle.stop()
    await under.redis.stop()
  }
})

/** The person with a session and workspace as the replica knew them long ago. */
async function copyUser(under: TestApi, replica: PlainDatabase, userId: string): Promise<void> {
  const [user] = await rows<{ email: string }>(
    under.api.kernel.db,
    'SELECT email FROM users WHERE id = $userId',
    { userId },
  )
  await rows(
    replica.db,
    `INSERT INTO users (id, email, name, created_at, updated_at)
     VALUES ($userId, $email, 'as the replica has it', now(), now())`,
    { userId, email: user?.email },
  )
}
