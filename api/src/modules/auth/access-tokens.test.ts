/** U5: nothing but a token that we made, for this use, and that is still good, signs anybody in. */
import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWTPayload } from 'jose'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'

suite('U5: access tokens', () => {
  let under: TestApi
  let user: TestUser
  let signing: { kid: string; key: CryptoKey }
  before(async () => {
    under = await startApi({ worker: false })
    user = await under.buildUser()
    signing = await under.api.modules.auth.keys.current()
  })
  after(() => under.close())

  const now = () => Math.floor(Date.now() / 1_000)
  const good = (): JWTPayload => ({
    iss: 'wmoc',
    aud: 'wmoc',
    sub: user.userId,
    sid: user.sessionId,
    typ: 'access',
    iat: now(),
    exp: now() + 900,
  })
  const sign = (claims: JWTPayload, header: object = {}, key = signing.key) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, ...header }).sign(key)
  const status = async (token: string) =>
    (await under.request('/api/auth/me', { headers: { authorization: `Bearer ${token}` } })).status
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

  test('a good one passes, and names no key by itself', async () => {
    assert.equal(await status(await sign(good())), 200)
    const [header] = user.accessToken.split('.')
    assert.deepEqual(JSON.parse(Buffer.from(header ?? '', 'base64url').toString()), {
      alg: 'EdDSA',
      kid: signing.kid,
    })
  })

  const wrongClaims: Record<string, (claims: JWTPayload) => JWTPayload> = {
    'no exp': (claims) => without(claims, 'exp'),
    'no iat': (claims) => without(claims, 'iat'),
    'a far exp with an old iat': (claims) => ({ ...claims, iat: now() - 3_600, exp: now() + 999_999 }),
    expired: (claims) => ({ ...claims, iat: now() - 1_000, exp: now() - 100 }),
    'not yet issued': (claims) => ({ ...claims, iat: now() + 600, exp: now() + 1_200 }),
    'another audience': (claims) => ({ ...claims, aud: 'gateway' }),
    'another issuer': (claims) => ({ ...claims, iss: 'evil' }),
    'another type': (claims) => ({ ...claims, typ: 'ticket' }),
    'no type': (claims) => without(claims, 'typ'),
    'a subject that is no id': (claims) => ({ ...claims, sub: "' OR 1=1 --" }),
    "somebody else's session": (claims) => ({ ...claims, sub: '01890000-0000-7000-8000-000000000000' }),
  }
  for (const [name, change] of Object.entries(wrongClaims)) {
    test(`refuses one with ${name}`, async () => {
      assert.equal(await status(await sign(change(good()))), 401)
    })
  }

  test('refuses alg none in every spelling, and an empty signature', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
      assert.equal(await status(`${encode({ alg, kid: signing.kid })}.${encode(good())}.`), 401)
    }
    const [header, payload] = (await sign(good())).split('.')
    assert.equal(await status(`${header}.${payload}.`), 401)
  })

  test('refuses HS256 keyed with our public key', async () => {
    const { keys } = await under.api.modules.auth.keys.jwks()
    const input = `${encode({ alg: 'HS256', kid: signing.kid })}.${encode(good())}`
    for (const secret of [
      JSON.stringify(keys[0]),
      keys[0]?.x ?? '',
      Buffer.from(keys[0]?.x ?? '', 'base64url'),
    ]) {
      const signature = createHmac('sha256', secret).update(input).digest('base64url')
      assert.equal(await status(`${input}.${signature}`), 401)
    }
  })

  test('takes no key from the token: jwk, jku, x5u, kid of a path or of SQL', async () => {
    const own = await generateKeyPair('EdDSA', { extractable: true })
    const jwk = await exportJWK(own.publicKey)
    const headers = [
      { jwk },
      { jku: 'http://127.0.0.1/jwks' },
      { x5u: 'http://127.0.0.1/cert' },
      { kid: '../../../../dev/null' },
      { kid: "x' UNION SELECT 'key" },
      { kid: '' },
      { kid: 'unknown' },
    ]
    for (const header of headers) assert.equal(await status(await sign(good(), header, own.privateKey)), 401)
  })

  test('refuses a refresh token, junk and a megabyte', async () => {
    assert.equal(await status(user.refreshToken), 401)
    assert.equal(await status('a.b.c'), 401)
    assert.equal(await status(`${encode({ alg: 'EdDSA', kid: signing.kid })}.${'A'.repeat(3_000)}.AAAA`), 401)
    const large = await under.request('/api/auth/me', {
      headers: { authorization: `Bearer ${randomBytes(1_000_000).toString('hex')}` },
    })
    assert.equal(large.status, 431)
  })

  test('goes on being good through two steps of a rotation, and is refused after', async () => {
    const { keys } = under.api.modules.auth
    const token = await sign(good())
    assert.equal((await keys.jwks()).keys.length, 2)
    assert.equal(await keys.rotate(), false)
    assert.equal(await keys.rotate(true), true)
    assert.equal((await keys.jwks()).keys.length, 3)
    assert.equal(await status(token), 200)
    assert.notEqual((await keys.current()).kid, signing.kid)
    await keys.rotate(true)
    assert.equal(await status(token), 401)
    for (const key of (await keys.jwks()).keys) {
      assert.deepEqual(Object.keys(key).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    }
  })
})

function without(claims: JWTPayload, name: string): JWTPayload {
  return Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))
}
