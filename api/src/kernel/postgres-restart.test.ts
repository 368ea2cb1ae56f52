/** F4: PostgreSQL goes away and comes back; nobody restarts the API or the worker, and what was acknowledged is done. */
import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@wmoc/testkit/free-port'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { startEmbeddedPostgres } from '../../../scripts/start/postgres.ts'
import type { EmbeddedPostgres } from '../../../scripts/start/postgres.ts'
import { firstRow } from './rows.ts'

const LONG_MS = 120_000

suite('F4: after a restart of PostgreSQL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc restart '))
  let server: EmbeddedPostgres
  let port: number
  let under: TestApi
  let user: TestUser
  let controllerId: string
  const start = () =>
    startEmbeddedPostgres({ dataDir: join(folder, 'data'), port, password: 'test', durable: true })

  before(async () => {
    // The server may run as another user, below this folder.
    chmodSync(folder, 0o711)
    port = await freePort()
    server = await start()
    const shared = process.env['WMOC_TEST_POSTGRES_URL']
    process.env['WMOC_TEST_POSTGRES_URL'] = server.url()
    try {
      under = await startApi()
    } finally {
      if (shared === undefined) delete process.env['WMOC_TEST_POSTGRES_URL']
      else process.env['WMOC_TEST_POSTGRES_URL'] = shared
    }
    user = await under.buildUser()
    controllerId = (await under.buildController(user)).id
    await waitFor(async () => (await unread()) === 1)
    // Due while the server is away.
    await under.client(user).commands.send({
      params: { id: controllerId },
      body: { name: 'reboot', params: {}, ttlSec: 5 },
    })
    await server.stop()
    const refused = await under.request('/api/auth/me', { as: user })
    assert.equal(refused.status, 503)
    under.advance(60_000)
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    server = await start()
  })
  after(async () => {
    await under.close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 })
  })

  const unread = async () => (await under.client(user).notifications.unreadCount()).count
  const stateOf = async () =>
    (await under.client(user).commands.list({ params: { id: controllerId } })).items[0]?.state

  test('the API answers again, with what was written before', async () => {
    await waitFor(async () => (await under.request('/api/auth/me', { as: user })).status === 200, LONG_MS)
    assert.equal(
      (await under.client(user).controllers.get({ params: { id: controllerId } })).id,
      controllerId,
    )
  })

  test('intervals run again: what ran out meanwhile is ended, and told as an event', async () => {
    await waitFor(async () => (await stateOf()) === 'expired', LONG_MS)
    await waitFor(async () => (await unread()) === 2, LONG_MS)
  })

  test('jobs are taken in and done again', async () => {
    const { email } = user
    await under.client().auth.requestPasswordReset({ body: { email } })
    await waitFor(async () => {
      const mail = await firstRow(
        under.api.kernel.db,
        'SELECT id FROM mail_outbox WHERE recipient = $email',
        {
          email,
        },
      )
      return mail !== null
    }, LONG_MS)
  })

  test('readiness follows', async () => {
    const { admin } = under.api.ports()
    await waitFor(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status === 200, LONG_MS)
  })
})
