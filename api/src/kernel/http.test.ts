import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { firstRow } from '#src/kernel/rows.ts'
import { AlertmanagerWebhook } from '#src/modules/alerts/contract.ts'
import { CONTRACTS } from '#src/modules.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import type { Contract } from './contract.ts'
import { BODY_LIMIT_BYTES } from './request-body.ts'

const FOREIGN = 'https://listed.example'

suite('the public listener', () => {
  let under: TestApi
  let user: TestUser
  let port: number
  before(async () => {
    under = await startApi({ worker: false, env: { CORS_ORIGINS: FOREIGN } })
    user = await under.buildUser({ tier: 'premium' })
    port = under.api.ports().public
  })
  after(() => under.close())

  const patch = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
    under.request('/api/auth/me', {
      method: 'PATCH',
      as: user,
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })
  const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code
  const me = () => under.client(user).auth.me()

  test('answers problem+json with a request id, a stable code and no-store', async () => {
    const response = await under.request('/api/nothing')
    assert.equal(response.status, 404)
    assert.equal(response.headers.get('content-type'), 'application/problem+json; charset=utf-8')
    assert.equal(response.headers.get('cache-control'), 'no-store')
    const body = (await response.json()) as Record<string, unknown>
    assert.equal(body['code'], 'not_found')
    assert.equal(body['requestId'], response.headers.get('x-request-id'))
  })

  test('O2: a frame gets nothing of the API, only word to who framed it of where it wanted to go', async () => {
    const response = await under.request('/api/auth/me', {
      as: user,
      headers: { 'sec-fetch-dest': 'iframe' },
    })
    assert.equal(response.status, 200)
    assert.match(
      response.headers.get('content-security-policy')!,
      /^default-src 'none'; .*; sandbox allow-scripts$/,
    )
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(
      await response.text(),
      /^<!doctype html><meta charset="utf-8"><title><\/title><script>parent\.postMessage/,
    )
  })

  test('answers 405 with Allow for a method that the path has not', async () => {
    const response = await under.request('/api/auth/me', { method: 'DELETE' })
    assert.equal(response.status, 405)
    assert.equal(response.headers.get('allow'), 'GET, HEAD, PATCH')
  })

  test('answers HEAD as GET without the body', async () => {
    const response = await under.request('/api/meta', { method: 'HEAD' })
    assert.equal(response.status, 200)
    assert.ok(Number(response.headers.get('content-length')) > 10)
    assert.equal(await response.text(), '')
  })

  test('tells the limit, what is left and when to come back', async () => {
    const response = await under.request('/api/auth/me', { as: user })
    assert.equal(response.headers.get('ratelimit-limit'), '12000')
    assert.ok(Number(response.headers.get('ratelimit-remaining')) < 12_000)
    let limited = response
    for (let n = 0; n < 12 && limited.status !== 429; n += 1) {
      limited = await under.request('/api/auth/register', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      })
    }
    assert.equal(limited.status, 429)
    assert.ok(Number(limited.headers.get('retry-after')) > 0)
    assert.equal(limited.headers.get('ratelimit-remaining'), '0')
  })

  test('U10: refuses fields that nobody may set, and changes nothing', async () => {
    const earlier = await me()
    for (const field of [
      'user_id',
      'is_active',
      'subscription_tier',
      'tier',
      'role',
      'emailVerified',
      '__proto__',
    ]) {
      const response = await patch(`{"name": "x", "${field}": "premium"}`)
      assert.equal(response.status, 400, field)
      assert.equal(await codeOf(response), 'validation_failed')
    }
    assert.deepEqual(await me(), earlier)
  })

  test('U10: every body of every contract refuses an unknown field, or drops it where another product writes the body', () => {
    const foreign = new Set(['alerts.alertmanager'])
    for (const contract of Object.values<Contract>(CONTRACTS)) {
      for (const [name, route] of Object.entries(contract.routes)) {
        if (!route.body || foreign.has(`${contract.name}.${name}`)) continue
        const codes = route.body.safeParse({ unheardOf: 1 }).error?.issues.map(({ code }) => code) ?? []
        assert.ok(codes.includes('unrecognized_keys'), `${contract.name}.${name}`)
      }
    }
    const webhook = { version: '4', groupKey: 'k', status: 'firing', receiver: 'r', alerts: [], unheardOf: 1 }
    assert.ok(!('unheardOf' in AlertmanagerWebhook.parse(webhook)))
  })

  test('U12: refuses deep, wrong and unstorable JSON with 400, fast enough to go on', async () => {
    const bodies = {
      deep: `{"name": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      'deep objects': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      'not JSON': '{"name": ',
      'an array': '["name"]',
      'a scalar': '"name"',
      'an array for a string': '{"name": ["x"]}',
      'a million items': `{"name": [${'1,'.repeat(400_000)}1]}`,
      'U+0000': String.raw`{"name": "a\u0000b"}`,
      'half a surrogate pair': String.raw`{"name": "\ud800"}`,
      '1e400': '{"name": 1e400}',
    }
    for (const [name, body] of Object.entries(bodies)) {
      const response = await patch(body)
      assert.equal(response.status, 400, name)
    }
    assert.equal((await patch(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))).status, 400)
    assert.equal((await under.request('/api/controllers?q=%00', { as: user })).status, 400)
    assert.equal((await under.request('/api/controllers?limit=many&sort=password', { as: user })).status, 400)
    assert.equal((await under.request('/api/controllers/%2e%2e%2f', { as: user })).status, 404)
  })

  test('U11: a query that tries operators or SQL is a value or a 400', async () => {
    for (const query of [
      "q=' OR 1=1 --",
      'q[$ne]=1',
      'sort=name;DROP TABLE users',
      'cursor=eyJ4IjoxfQ',
      'tag=%27%29',
    ]) {
      const response = await under.request(`/api/controllers?${encodeURI(query)}`, { as: user })
      assert.ok([200, 400].includes(response.status), `${query}: ${response.status}`)
      if (response.status === 200) assert.deepEqual(((await response.json()) as { items: [] }).items, [])
    }
  })

  test('P10: a body one byte too large is 413, whether declared or chunked', async () => {
    const body = JSON.stringify({ name: 'x'.repeat(BODY_LIMIT_BYTES - 10) })
    assert.equal((await patch(body)).status, 413)
    const chunked = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(body))
        controller.close()
      },
    })
    const init: RequestInit & { duplex: 'half' } = {
      method: 'PATCH',
      duplex: 'half',
      body: chunked,
      headers: { authorization: `Bearer ${user.accessToken}`, 'content-type': 'application/json' },
    }
    const response = await fetch(`${under.url}/api/auth/me`, init)
    assert.equal(response.status, 413)
  })

  test('P10: 10 GB declared, or chunks without end, are 413 and the connection closes; memory stays', async () => {
    const head = `PATCH /api/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.accessToken}\r\nContent-Type: application/json\r\n`
    const declared = await sendRaw(port, `${head}Content-Length: 10737418240\r\n\r\n{`, { timeoutMs: 5_000 })
    assert.deepEqual(declared.statuses, [413])
    assert.ok(declared.isClosed)
    const heap = process.memoryUsage().rss
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const endless = await sendRaw(
      port,
      [`${head}Transfer-Encoding: chunked\r\n\r\n`, ...Array<string>(400).fill(chunk)],
      {
        timeoutMs: 5_000,
      },
    )
    assert.deepEqual(endless.statuses, [413])
    assert.ok(endless.isClosed)
    assert.ok(process.memoryUsage().rss - heap < 100_000_000)
  })

  test('P10: nothing compressed is inflated, and only JSON is read', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, 0x20))
    assert.equal((await patch(bomb, { 'content-encoding': 'gzip' })).status, 415)
    assert.equal((await patch('name=x', { 'content-type': 'application/x-www-form-urlencoded' })).status, 415)
    assert.equal((await patch('{"name":"x"}', { 'content-type': 'text/plain' })).status, 415)
  })

  test('P10: a body that never comes is 408', { timeout: 60_000 }, async () => {
    const head = `PATCH /api/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.accessToken}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`
    const answer = await sendRaw(port, head, { timeoutMs: 45_000 })
    assert.deepEqual(answer.statuses, [408])
    assert.ok(answer.isClosed)
  })

  test('O5: a write from another site is 403 and changes nothing; our own page and tools pass', async () => {
    const earlier = await me()
    const foreign = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://abcd.localhost:8080' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of foreign) {
      const response = await patch('{"name":"stolen"}', headers as unknown as Record<string, string>)
      assert.equal(response.status, 403)
      assert.equal(await codeOf(response), 'csrf_rejected')
    }
    const cookie = { cookie: `__Host-wmoc_refresh=${user.refreshToken}` }
    const forced = { method: 'POST', headers: { ...cookie, origin: 'https://evil.example' } }
    assert.equal((await under.request('/api/auth/refresh', forced)).status, 403)
    assert.deepEqual(await me(), earlier)
    for (const headers of [{ origin: 'http://localhost:8080' }, { 'sec-fetch-site': 'same-origin' }, {}]) {
      assert.equal((await patch('{"name":"mine"}', headers as Record<string, string>)).status, 200)
    }
  })

  test('a listed origin may call with a token and read the answer; others get no CORS headers', async () => {
    const preflight = await under.request('/api/auth/me', {
      method: 'OPTIONS',
      headers: { origin: FOREIGN, 'access-control-request-method': 'PATCH' },
    })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers.get('access-control-allow-origin'), FOREIGN)
    assert.equal(
      (await patch('{"name":"n"}', { origin: FOREIGN })).headers.get('access-control-allow-credentials'),
      null,
    )
    const other = await under.request('/api/meta', { headers: { origin: 'https://evil.example' } })
    assert.equal(other.headers.get('access-control-allow-origin'), null)
  })

  test('U15: a repeat with its Idempotency-Key does the work once and gets the same answer', async () => {
    const key = crypto.randomUUID()
    const send = (body: object, as = user) =>
      under.request('/api/controllers/activate', {
        method: 'POST',
        as,
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      })
    const first = await send({ name: 'Once' })
    assert.equal(first.status, 201)
    const again = await send({ name: 'Once' })
    assert.deepEqual(await again.json(), await first.json())
    const mismatch = await send({ name: 'Twice' })
    assert.equal(mismatch.status, 422)
    assert.equal(await codeOf(mismatch), 'idempotency_mismatch')
    assert.equal((await under.client(user).controllers.list({ query: { q: 'Once' } })).items.length, 1)
    const somebodyElse = await send({ name: 'Twice' }, await under.buildUser())
    assert.equal(somebodyElse.status, 201)
    const stored = await firstRow<{ response: string }>(
      under.api.kernel.db,
      'SELECT response::text FROM idempotency_keys WHERE user_id = $id',
      { id: user.userId },
    )
    assert.ok(!stored?.response.includes('Once'), 'the answer with its token is sealed')
  })

  test('U15: of ten at the same time one does the work and the others wait or hear 409', async () => {
    const key = crypto.randomUUID()
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        under.request('/api/controllers/activate', {
          method: 'POST',
          as: user,
          headers: { 'content-type': 'application/json', 'idempotency-key': key },
          body: '{"name":"Raced"}',
        }),
      ),
    )
    assert.ok(answers.every(({ status }) => status === 201 || status === 409))
    assert.equal((await under.client(user).controllers.list({ query: { q: 'Raced' } })).items.length, 1)
  })
})
