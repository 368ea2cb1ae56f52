import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { uuidv7 } from '@wmoc/platform/ids'
import { ApiError } from '#src/kernel/client.ts'
import { createRateLimiter } from '#src/kernel/rate-limit.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi } from '#src/testing/harness.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { createMailer } from '#src/providers/mail/mailer.ts'
import { createLoginGuard } from './login-guard.ts'
import { createOneTimeTokens } from './one-time-tokens.ts'
import { createPasswords } from './passwords.ts'
import { createAuthService } from './service.ts'

const PASSWORD = 'correct horse battery'
const DAY_MS = 86_400_000

suite('sign-in', () => {
  let under: TestApi
  let passwordHash: string
  before(async () => {
    under = await startApi({ env: { DEV_MAIL: 'true' } })
    passwordHash = await createPasswords(under.config.PASSWORD_PEPPER).hash(PASSWORD)
  })
  after(() => under.close())

  const person = () => under.buildUser({ passwordHash })
  const post = (path: string, body?: object, headers: Record<string, string> = {}) =>
    under.request(path, {
      method: 'POST',
      headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  const login = (email: string, password = PASSWORD, headers = {}) =>
    post('/api/auth/login', { email, password }, headers)
  const refresh = (token: string) =>
    post('/api/auth/refresh', undefined, { cookie: `__Host-wmoc_refresh=${token}` })
  const mailsTo = async (email: string) => {
    const { items } = await under.client().system.devMail()
    return items.filter((mail) => mail.to === email)
  }
  const tokenIn = (text: string) => /#(?:token|link)=([\w-]+)/.exec(text)?.[1] ?? ''

  test('registers, confirms the e-mail by the mail, signs in with a personal workspace', async () => {
    const email = `${uuidv7()}@example.test`
    const client = under.client()
    await client.auth.register({
      body: { email: email.toUpperCase(), password: PASSWORD, name: 'Анна', locale: 'ru' },
    })
    const [mail] = await mailsTo(email)
    assert.equal(mail?.subject, 'Подтвердите адрес почты')
    const { user } = await client.auth.login({ body: { email, password: PASSWORD } })
    assert.equal(user.emailVerified, false)
    assert.deepEqual(
      user.workspaces.map(({ name, role }) => ({ name, role })),
      [{ name: 'Анна', role: 'owner' }],
    )
    assert.deepEqual(user.limits, { controllers: 3, metricsRetentionDays: 7, requestsPerMinute: 600 })
    await client.auth.verifyEmail({ body: { token: tokenIn(mail?.text ?? '') } })
    await assert.rejects(
      client.auth.verifyEmail({ body: { token: tokenIn(mail?.text ?? '') } }),
      isCode('token_invalid'),
    )
    const again = await client.auth.login({ body: { email, password: PASSWORD } })
    assert.equal(again.user.emailVerified, true)
  })

  test('the refresh cookie is HttpOnly, Secure, SameSite=Strict, __Host-, and its value is in no body', async () => {
    const user = await person()
    const response = await login(user.email)
    const cookie = response.headers.getSetCookie().find((text) => text.startsWith('__Host-wmoc_refresh='))
    assert.match(cookie ?? '', /; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Strict$/)
    assert.ok(!cookie?.includes('Domain'))
    assert.ok(!(await response.text()).includes(valueOf(cookie)))
    assert.equal(response.headers.get('cache-control'), 'no-store')
  })

  test('U3: a wrong password and an unknown e-mail are answered word for word the same', async () => {
    const user = await person()
    const answers = [
      await login(user.email, 'wrong password'),
      await login(`${uuidv7()}@example.test`, 'wrong password'),
    ]
    const [known, unknown] = await Promise.all(answers.map(comparable))
    assert.equal(known?.status, 401)
    assert.deepEqual(known, unknown)
  })

  test('U3: a known and an unknown e-mail cost the same number of password hashes', async () => {
    const { kernel, modules } = under.api
    const passwords = createPasswords(under.config.PASSWORD_PEPPER)
    let hashes = 0
    const limiter = createRateLimiter(kernel.store, kernel.log, kernel.clock)
    const service = createAuthService({
      ...modules.auth,
      kernel,
      limiter,
      guard: createLoginGuard(limiter, under.config.PASSWORD_PEPPER),
      oneTime: createOneTimeTokens(kernel.db, kernel.clock),
      mailer: createMailer(kernel, { smtpUrl: null, from: 'test' }),
      countControllers: async () => 0,
      passwords: {
        hash: (password) => ((hashes += 1), passwords.hash(password)),
        verify: (password, hash) => ((hashes += 1), passwords.verify(password, hash)),
      },
    })
    const cost = async (task: () => Promise<unknown>) => {
      const earlier = hashes
      await task().catch(() => {})
      return hashes - earlier
    }
    const place = { userAgent: null, remoteAddress: '203.0.113.7' }
    const known = (await person()).email
    const unknown = `${uuidv7()}@example.test`
    const input = { password: 'a guess of a password', name: '', locale: 'en' } as const
    for (const email of [known, unknown]) {
      assert.equal(await cost(() => service.login({ ...input, email }, place, undefined)), 1)
      assert.equal(await cost(() => service.requestPasswordReset(email)), 0)
      assert.equal(await cost(() => service.register({ ...input, email })), 1)
    }
  })

  test('U3: registering a known e-mail is answered the same, and its owner is told by mail', async () => {
    const user = await person()
    const body = { password: PASSWORD, name: '', locale: 'en' }
    const known = await post('/api/auth/register', { ...body, email: user.email })
    const unknown = await post('/api/auth/register', { ...body, email: `${uuidv7()}@example.test` })
    assert.deepEqual(await comparable(known), await comparable(unknown))
    const mails = await mailsTo(user.email)
    assert.deepEqual(
      mails.map(({ subject }) => subject),
      ['You already have an account'],
    )
  })

  test('U3: a reset for an unknown e-mail is answered the same and does the same work', async () => {
    const user = await person()
    const known = await post('/api/auth/password/reset-request', { email: user.email })
    const unknown = await post('/api/auth/password/reset-request', { email: `${uuidv7()}@example.test` })
    assert.deepEqual(await comparable(known), await comparable(unknown))
    await waitFor(async () => (await mailsTo(user.email)).length === 1)
  })

  test('a reset sets the password, works once, and ends every session', async () => {
    const user = await person()
    await under.client().auth.requestPasswordReset({ body: { email: user.email } })
    await waitFor(async () => (await mailsTo(user.email)).length === 1)
    const [mail] = await mailsTo(user.email)
    const body = { token: tokenIn(mail?.text ?? ''), newPassword: 'another long password' }
    await under.client().auth.resetPassword({ body })
    await assert.rejects(under.client().auth.resetPassword({ body }), isCode('token_invalid'))
    assert.equal((await refresh(user.refreshToken)).status, 401)
    assert.equal((await login(user.email)).status, 401)
    assert.equal((await login(user.email, 'another long password')).status, 200)
  })

  test('U6: each refresh rotates; the token before works within 10 s and brings no new one', async () => {
    const user = await person()
    const first = await refresh(user.refreshToken)
    const second = refreshTokenOf(first)
    assert.notEqual(second, user.refreshToken)
    const parallelTab = await refresh(user.refreshToken)
    assert.equal(parallelTab.status, 200)
    assert.equal(refreshTokenOf(parallelTab), '')
    assert.equal((await refresh(second)).status, 200)
  })

  test('U6: the token before the one before ends the family even within 10 s', async () => {
    const user = await person()
    const second = refreshTokenOf(await refresh(user.refreshToken))
    const third = refreshTokenOf(await refresh(second))
    assert.equal((await refresh(user.refreshToken)).status, 401)
    assert.equal((await refresh(third)).status, 401)
  })

  test('U6: an old token after 10 s ends the family, at once for access tokens too, and is written down', async () => {
    const user = await person()
    const next = refreshTokenOf(await refresh(user.refreshToken))
    under.advance(11_000)
    const reuse = await refresh(user.refreshToken)
    assert.equal(reuse.status, 401)
    assert.equal(((await reuse.json()) as { code: string }).code, 'session_ended')
    assert.equal((await refresh(next)).status, 401)
    await waitFor(async () => (await under.request('/api/auth/me', { as: user })).status === 401)
    const entry = await firstRow(
      under.api.kernel.db,
      `SELECT 1 AS n FROM audit_log WHERE action = 'session.reuse' AND actor_id = $id`,
      { id: user.userId },
    )
    assert.ok(entry)
  })

  test('U6: of 20 parallel refreshes with one token exactly one rotates and none is signed out', async () => {
    const user = await person()
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(user.refreshToken)))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    assert.equal(answers.filter((answer) => refreshTokenOf(answer) !== '').length, 1)
  })

  test('a session slides on with use and ends 30 days after the last', async () => {
    const user = await person()
    under.advance(29 * DAY_MS)
    const next = refreshTokenOf(await refresh(user.refreshToken))
    under.advance(29 * DAY_MS)
    const third = refreshTokenOf(await refresh(next))
    assert.notEqual(third, '')
    under.advance(31 * DAY_MS)
    assert.equal((await refresh(third)).status, 401)
  })

  test('U7: signing out kills the refresh token, the access token and the stream at once', async () => {
    const user = await person()
    const stream = await under.request('/api/events', { as: user, signal: AbortSignal.timeout(60_000) })
    assert.equal(stream.status, 200)
    const response = await post('/api/auth/logout', undefined, {
      cookie: `__Host-wmoc_refresh=${user.refreshToken}`,
    })
    assert.equal(response.status, 204)
    assert.match(response.headers.getSetCookie().join(), /__Host-wmoc_refresh=; Max-Age=0/)
    await waitFor(async () => (await under.request('/api/auth/me', { as: user })).status === 401)
    assert.equal((await refresh(user.refreshToken)).status, 401)
    // Still open, it would reject in the end.
    await stream.text()
    const { alive } = await under.internal('sessions/alive', { sessionIds: [user.sessionId] })
    assert.deepEqual(alive, [false])
  })

  test('U7: a changed password ends the other sessions and keeps this one', async () => {
    const user = await person()
    const other = refreshTokenOf(await login(user.email))
    const client = under.client(user)
    const body = { currentPassword: 'not it at all', newPassword: 'a brand new password' }
    await assert.rejects(client.auth.changePassword({ body }), isCode('invalid_credentials'))
    await client.auth.changePassword({ body: { ...body, currentPassword: PASSWORD } })
    assert.equal((await refresh(other)).status, 401)
    assert.equal((await client.auth.me()).email, user.email)
    const { items } = await client.auth.listSessions()
    assert.deepEqual(
      items.map(({ id, current }) => ({ id, current })),
      [{ id: user.sessionId, current: true }],
    )
  })

  test('revokes one session, and all others', async () => {
    const user = await person()
    await login(user.email)
    await login(user.email)
    const client = under.client(user)
    const { items } = await client.auth.listSessions()
    const other = items.find(({ current }) => !current)
    await client.auth.revokeSession({ params: { id: other?.id ?? '' } })
    assert.deepEqual(await client.auth.revokeOtherSessions(), { revoked: 1 })
    assert.equal((await client.auth.listSessions()).items.length, 1)
  })

  test('U8: a session id that the browser brings is not taken over by signing in', async () => {
    const [attacker, victim] = [await person(), await person()]
    const response = await login(victim.email, PASSWORD, {
      cookie: `__Host-wmoc_refresh=${attacker.refreshToken}`,
    })
    assert.notEqual(refreshTokenOf(response), attacker.refreshToken)
    const { user } = (await response.json()) as { user: { sessionId: string } }
    assert.notEqual(user.sessionId, attacker.sessionId)
    const identified = await under.internal('sessions/identify', { refreshToken: attacker.refreshToken })
    assert.equal(identified.userId, attacker.userId)
  })

  test("U4: an account hears 429 whatever address the guesses come from; its owner's browser still gets in", async () => {
    const user = await person()
    const device = (await login(user.email)).headers
      .getSetCookie()
      .find((text) => text.startsWith('__Host-wmoc_device='))
    const { store, log, clock } = under.api.kernel
    const limiter = createRateLimiter(store, log, clock)
    const guard = createLoginGuard(limiter, under.config.PASSWORD_PEPPER)
    const guess = () => guard.admit(user.email, undefined)
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, guess))
    assert.ok(outcomes.filter(({ status }) => status === 'fulfilled').length <= 10)
    await guard.admit(user.email, valueOf(device))
    await assert.rejects(guard.admit(user.email, 'forged.cookie'), isCode('rate_limited'))
  })

  test('U4: X-Forwarded-For of a client is not believed without trusted hops', async () => {
    const statuses: number[] = []
    for (let n = 0; n < 25; n += 1) {
      const limited = await post(
        '/api/auth/email/verify',
        { token: 'x'.repeat(30) },
        { 'x-forwarded-for': `198.51.100.${n}` },
      )
      statuses.push(limited.status)
      if (limited.status === 429) break
    }
    assert.ok(statuses.includes(429))
  })

  test('a one-time link signs in once, of ten at the same time exactly one, and only for 15 minutes', async () => {
    const email = `${uuidv7()}@example.test`
    const { service } = under.api.modules.auth
    const input = { email, name: '', locale: 'en', tier: 'free' } as const
    const place = { userAgent: null, remoteAddress: null }
    const { url } = await service.createSignInLink(input)
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, () => service.loginByLink(tokenIn(url), place)),
    )
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    const late = await service.createSignInLink(input)
    under.advance(15 * 60_000)
    await assert.rejects(service.loginByLink(tokenIn(late.url), place), isCode('token_invalid'))
  })

  test('a tier that has run out counts as free', async () => {
    const user = await under.buildUser({ tier: 'premium' })
    const client = under.client(user)
    assert.equal((await client.auth.me()).limits.controllers, 10_000)
    const now = under.api.kernel.clock()
    await rows(under.api.kernel.db, 'UPDATE users SET subscription_expires_at = $now WHERE id = $id', {
      now,
      id: user.userId,
    })
    assert.equal((await client.auth.me()).tier, 'free')
  })

  test('registration can be closed', async () => {
    const closed = await startApi({ worker: false, env: { REGISTRATION_OPEN: 'false' } })
    try {
      const body = { email: `${uuidv7()}@example.test`, password: PASSWORD }
      await assert.rejects(closed.client().auth.register({ body }), isCode('registration_closed'))
      assert.equal((await closed.client().system.meta()).registrationOpen, false)
      await assert.rejects(closed.client().system.devMail(), isCode('not_found'))
    } finally {
      await closed.close()
    }
  })
})

function isCode(code: string) {
  return (error: unknown) =>
    (error instanceof ApiError || error instanceof Error) && 'code' in error && error.code === code
}

function valueOf(cookie: string | undefined): string {
  return cookie?.split(';', 1)[0]?.split('=').slice(1).join('=') ?? ''
}

function refreshTokenOf(response: Response): string {
  return valueOf(response.headers.getSetCookie().find((text) => text.startsWith('__Host-wmoc_refresh=')))
}

async function comparable(response: Response): Promise<{ status: number; headers: string[]; body: object }> {
  const { requestId: _, ...body } = (await response.json()) as Record<string, unknown>
  return { status: response.status, headers: [...response.headers.keys()].toSorted(), body }
}
