import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { testDatabase } from '@wmoc/testkit/postgres'
import type { TestDatabase } from '@wmoc/testkit/postgres'
import { run } from '@wmoc/testkit/process'
import { testRedis } from '@wmoc/testkit/redis'
import type { TestRedis } from '@wmoc/testkit/redis'

const SECRET = 'abcdefghijklmnopqrstuvwxyz0123456789'
const script = (name: string) => fileURLToPath(new URL(`${name}.ts`, import.meta.url))

suite('the processes of the API', () => {
  let database: TestDatabase
  let redis: TestRedis
  let env: Record<string, string>
  before(async () => {
    ;[database, redis] = await Promise.all([testDatabase(), testRedis()])
    env = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      INTERNAL_TOKEN: SECRET,
      DEVICE_CREDENTIAL_KEY: SECRET,
      PASSWORD_PEPPER: SECRET,
      SECRETS_KEY: Buffer.alloc(32, 1).toString('base64'),
      PORT: '0',
      INTERNAL_PORT: '0',
      ADMIN_PORT: '0',
      LOG_FORMAT: 'json',
    }
    assert.equal((await run(script('migrate'), { env }).ended).code, 0)
  })
  after(async () => {
    await redis.stop()
    await database.drop()
  })

  const portOf = (line: string, name: string) =>
    Number((JSON.parse(line) as { labels: Record<string, number> }).labels[name])

  test('print their variables with --help', async () => {
    const child = run(script('main'), { args: ['--help'], env: { DATABASE_URL: '' } })
    assert.equal((await child.ended).code, 0)
    assert.ok(child.lines.some((line) => line.includes('DATABASE_REPLICA_URLS')))
  })

  test('wait for a schema that somebody else brings, and give up when nobody does', async () => {
    const empty = await testDatabase()
    try {
      const emptyEnv = { ...env, DATABASE_URL: empty.url }
      const inVain = run(script('migrate'), { args: ['--wait', '--timeout', '1'], env: emptyEnv })
      assert.equal((await inVain.ended).code, 1)
      const waiting = run(script('migrate'), { args: ['--wait'], env: emptyEnv })
      await waiting.waitFor(/waiting until somebody brings the schema up to date/)
      assert.equal((await run(script('migrate'), { env: emptyEnv }).ended).code, 0)
      assert.equal((await waiting.ended).code, 0)
    } finally {
      await empty.drop()
    }
  })

  test('say everything that is wrong with their environment at once, never a secret, and end with 2', async () => {
    const wrong = { ...env, PORT: 'many', PASSWORD_PEPPER: 'too-short', SECRETS_KEY: 'bm90IDMyIGJ5dGVz' }
    const child = run(script('main'), { env: wrong })
    assert.equal((await child.ended).code, 2)
    const text = child.lines.join('\n')
    for (const name of ['PORT', 'PASSWORD_PEPPER', 'SECRETS_KEY']) assert.match(text, new RegExp(`${name}:`))
    assert.ok(!text.includes('too-short'))
  })

  test('the api is ready, is not while it drains, ends its streams and stops on SIGTERM with 0', async () => {
    const child = run(script('main'), { env: { ...env, ROLE: 'api' } })
    const line = await child.waitFor(/api is up/)
    const admin = `http://127.0.0.1:${portOf(line, 'admin')}`
    const ready = (await (await fetch(`${admin}/readyz`)).json()) as { ready: boolean; checks: object }
    assert.equal(ready.ready, true)
    assert.deepEqual(Object.keys(ready.checks), ['postgres', 'store'])
    const meta = await fetch(`http://127.0.0.1:${portOf(line, 'public')}/api/meta`)
    assert.equal(meta.status, 200)
    const metrics = await (await fetch(`${admin}/metrics`)).text()
    assert.match(metrics, /wmoc_api_http_request_seconds_count\{route="system\.meta",status="200"\} 1/)
    assert.deepEqual(await child.stop(), { code: 0, signal: null })
  })

  test('the internal listener tells nothing without the token', async () => {
    const child = run(script('main'), { env: { ...env, ROLE: 'api' } })
    const line = await child.waitFor(/api is up/)
    const url = `http://127.0.0.1:${portOf(line, 'internal')}/internal`
    for (const authorization of ['', 'Bearer ', `Bearer ${SECRET}x`, `Basic ${SECRET}`]) {
      assert.equal((await fetch(`${url}/jwks`, { headers: { authorization } })).status, 401)
    }
    const headers = { authorization: `Bearer ${SECRET}` }
    const jwks = (await (await fetch(`${url}/jwks`, { headers })).json()) as { keys: object[] }
    assert.equal(jwks.keys.length, 2)
    assert.equal((await fetch(`${url}/nothing`, { method: 'POST', headers, body: '{}' })).status, 404)
    assert.equal(
      (await fetch(`${url}/ingest`, { method: 'POST', headers, body: '{"batches":1}' })).status,
      400,
    )
    await child.stop()
  })

  test('the worker starts and stops on SIGTERM with 0', async () => {
    const child = run(script('main'), { env: { ...env, ROLE: 'worker' } })
    await child.waitFor(/worker is up/)
    assert.deepEqual(await child.stop(), { code: 0, signal: null })
  })

  test('the command line makes the first user with a link and verifies the audit log', async () => {
    const made = run(script('cli'), { args: ['create-first-user', '--email', 'Anna@Example.com'], env })
    assert.equal((await made.ended).code, 0)
    const result = JSON.parse(made.lines.at(-1) ?? '') as { email: string; url: string }
    assert.equal(result.email, 'anna@example.com')
    assert.match(result.url, /^http:\/\/localhost:8080\/sign-in#link=[\w-]{43}$/)
    const verified = run(script('cli'), { args: ['audit', 'verify'], env })
    assert.equal((await verified.ended).code, 0)
    assert.deepEqual(JSON.parse(verified.lines.at(-1) ?? ''), { rows: 1, brokenAt: null })
    const wrong = run(script('cli'), { args: ['create-first-user', '--email', 'no'], env })
    assert.equal((await wrong.ended).code, 2)
  })
})
