import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { basicAuthorization, digestAuthorization } from './authorization.ts'
import { chooseChallenge } from './challenge.ts'
import type { DigestChallenge } from './challenge.ts'

const digestOf = (...values: string[]) => {
  const challenge = chooseChallenge(values)
  assert.ok(challenge?.scheme === 'digest')
  return challenge
}

const MUFASA = {
  username: 'Mufasa',
  password: 'Circle of Life',
  method: 'GET',
  uri: '/dir/index.html',
  count: 1,
  cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
}
const OFFER = (algorithm: string) =>
  `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, ` +
  'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
const responseOf = (header: string) => /\bresponse="([0-9a-f]+)"/.exec(header)?.[1]

suite('HTTP sign-in of devices', () => {
  test('answers the MD5 example of RFC 7616 section 3.9.1, word for word', () => {
    assert.equal(
      digestAuthorization(digestOf(OFFER('MD5')), MUFASA),
      'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, ' +
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, ' +
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, ' +
        'response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
    )
  })

  test('answers the SHA-256 example of RFC 7616, which is chosen before MD5', () => {
    const challenge = digestOf(OFFER('MD5'), OFFER('SHA-256'))
    assert.equal(challenge.algorithm, 'SHA-256')
    assert.equal(
      responseOf(digestAuthorization(challenge, MUFASA)),
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    )
  })

  test('hides the name of the SHA-512-256 example of RFC 7616 section 3.9.2, by its errata’s hash', () => {
    const header = digestAuthorization(
      digestOf(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, ' +
          'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", ' +
          'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDssOS", charset=UTF-8, userhash=true',
      ),
      {
        username: 'Jäsøn Doe',
        password: 'Secret, or not?',
        method: 'GET',
        uri: '/doe.json',
        count: 1,
        cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm',
      },
    )
    assert.match(header, /username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"/)
    assert.match(header, /userhash=true/)
  })

  test('answers the example of RFC 2617 section 3.5 and, without qop, as RFC 2069 says', () => {
    const request = {
      username: 'Mufasa',
      password: 'Circle Of Life',
      method: 'GET',
      uri: '/dir/index.html',
      count: 1,
      cnonce: '0a4f113b',
    }
    const old = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert.equal(
      responseOf(digestAuthorization(digestOf(`${old}, qop="auth,auth-int"`), request)),
      '6629fae49393a05397450978507c4ef1',
    )
    const plain = digestAuthorization(digestOf(old), request)
    assert.equal(responseOf(plain), '670fd8c2df070c60b045671b8b24ff02')
    assert.doesNotMatch(plain, /qop|cnonce|nc=|algorithm/)
  })

  test('makes the key of a session once more with nonce and cnonce', () => {
    // MD5(MD5(user:realm:password):nonce:cnonce), by Python's hashlib.
    const header = digestAuthorization(digestOf(OFFER('MD5-sess')), MUFASA)
    assert.match(header, /algorithm=MD5-sess/)
    assert.equal(responseOf(header), 'e783283f46242139c486a698fec7211d')
  })

  test('counts the uses of a nonce in hexadecimal', () => {
    assert.match(digestAuthorization(digestOf(OFFER('MD5')), { ...MUFASA, count: 171 }), /nc=000000ab/)
  })

  test('writes names beyond ASCII as RFC 8187, quotes escaped, and Basic as UTF-8', () => {
    const challenge = digestOf(OFFER('MD5'))
    assert.match(
      digestAuthorization(challenge, { ...MUFASA, username: 'Юля' }),
      /username\*=UTF-8''%D0%AE%D0%BB%D1%8F,/,
    )
    assert.match(digestAuthorization(challenge, { ...MUFASA, username: 'a"b' }), /username="a\\"b"/)
    // RFC 7617 section 2.1.
    assert.equal(basicAuthorization('test', '123£'), 'Basic dGVzdDoxMjPCow==')
    assert.equal(basicAuthorization('Aladdin', 'open sesame'), 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==')
  })
})

suite('challenges', () => {
  const schemes = (...values: string[]) => chooseChallenge(values)?.scheme ?? null

  test('several in one header or in many: the strongest that can be answered', () => {
    assert.equal(schemes('Basic realm="a", Digest realm="b", nonce="n", qop="auth"'), 'digest')
    assert.equal(schemes('Digest realm="b", nonce="n"', 'Basic realm="a"'), 'digest')
    assert.equal(schemes('Negotiate abc=, Basic realm="a"'), 'basic')
    assert.equal(
      schemes('Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'),
      'basic',
    )
    assert.equal(schemes('Negotiate', 'NTLM', 'Bearer realm="x"'), null)
  })

  test('a Digest that asks for what no gateway can do is passed over', () => {
    assert.equal(schemes('Digest realm="a", nonce="n", qop="auth-int"'), null)
    assert.equal(schemes('Digest realm="a", nonce="n", algorithm=SHA-1'), null)
    assert.equal(schemes('Digest realm="a"'), null)
    assert.equal(schemes('Digest realm="a", nonce="n", algorithm=SHA-1, Basic realm="b"'), 'basic')
  })

  test('a realm is text for people: unquoted, UTF-8, no control characters, short', () => {
    const realm = (text: string) => chooseChallenge([`Basic realm="${text}"`])?.realm
    assert.equal(realm('a \\"b\\"'), 'a "b"')
    assert.equal(realm(Buffer.from('Котёл').toString('latin1')), 'Котёл')
    assert.equal(realm('a\u202Eb'.replace('\u202E', Buffer.from('\u202E').toString('latin1'))), 'ab')
    assert.equal(realm('x'.repeat(5_000))?.length, 200)
    assert.equal(chooseChallenge(['Basic'])?.realm, '')
  })

  test('says what is stale', () => {
    const stale = (text: string) =>
      (chooseChallenge([`Digest realm="a", nonce="n"${text}`]) as DigestChallenge).isStale
    assert.deepEqual(
      [stale(', stale=TRUE'), stale(', stale="true"'), stale(', stale=false'), stale('')],
      [true, true, false, false],
    )
  })

  test('rubbish of any kind is no challenge and takes no time', () => {
    for (const text of ['', ',,,', '=', '"', 'Basic realm="', 'Digest '.repeat(2_000), '\\'.repeat(9_000)])
      chooseChallenge([text])
    const started = performance.now()
    chooseChallenge([`Digest ${'a="\\'.repeat(4_000)}`])
    chooseChallenge([' '.repeat(16_000)])
    assert.ok(performance.now() - started < 5_000)
  })
})
