import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { PASSWORD, serveBasic, USER } from '#src/page/testing/protected-device.ts'
import { startHarness } from '#src/testing/harness.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'

const NAVIGATE = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
}
const FETCH = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'same-origin' }

suite('a device on its own origin', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  async function served() {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    const { controllerId, pageLabel } = known.record
    harness.controlPlane.grant(person, controllerId)
    const device = await harness.online(known)
    device.serve((request) => ({ headers: { 'Content-Type': 'text/html' }, body: request.path }))
    return { known, person, device, controllerId, host: `${pageLabel}.localhost:8080` }
  }

  /** As a browser: from the portal's address to the cookie of the device's origin. */
  async function enter(controllerId: string, refreshToken: string, path = '/') {
    const left = await harness.ask({
      path: `/c/${controllerId}${path}`,
      headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${refreshToken}` },
    })
    assert.equal(left.status, 303)
    const url = new URL(left.headers.location!)
    const entered = await harness.ask({ host: url.host, path: url.pathname + url.search, headers: NAVIGATE })
    return { left, url, entered, cookie: entered.headers['set-cookie']?.[0]?.split(';')[0] ?? '' }
  }

  const page = (host: string, cookie: string, given: Partial<Ask> = {}) =>
    harness.ask({ host, path: '/', ...given, headers: { ...NAVIGATE, cookie, ...given.headers } })

  test('is entered from the portal by a code that works once, and answers with the page', async () => {
    const { controllerId, person, host } = await served()
    const { url, entered, cookie } = await enter(controllerId, person.refreshToken, '/settings?tab=2')
    assert.equal(url.host, host)
    assert.equal(entered.status, 303)
    assert.equal(entered.headers.location, '/settings?tab=2')
    const [setCookie] = entered.headers['set-cookie']!
    assert.match(setCookie!, /^__Host-wmoc_page=[^;]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=900$/)
    assert.equal((await page(host, cookie, { path: '/settings?tab=2' })).text, '/settings?tab=2')

    const again = await harness.ask({ host, path: url.pathname + url.search, headers: NAVIGATE })
    assert.equal(again.headers['set-cookie'], undefined)
    assert.equal(again.headers.location, `http://localhost:8080/c/${controllerId}/`)
  })

  test('O9: no address with a code leaks: no Referer, no store, and the code lives for one use', async () => {
    const { controllerId, person } = await served()
    const { left, entered } = await enter(controllerId, person.refreshToken)
    for (const answer of [left, entered]) {
      assert.equal(answer.headers['referrer-policy'], 'no-referrer')
      assert.equal(answer.headers['cache-control'], 'no-store')
    }
  })

  test('sends a person without a session to sign in, and back', async () => {
    const { controllerId } = await served()
    const answer = await harness.ask({ path: `/c/${controllerId}/a?b=c`, headers: NAVIGATE })
    assert.equal(answer.status, 303)
    assert.equal(
      answer.headers.location,
      `http://localhost:8080/sign-in?next=${encodeURIComponent(`/c/${controllerId}/a?b=c`)}`,
    )
  })

  test('is 404 for somebody else, whatever the code', async () => {
    const first = await served()
    const second = await served()
    const foreign = await harness.ask({
      path: `/c/${first.controllerId}/`,
      headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${second.person.refreshToken}` },
    })
    assert.equal(foreign.status, 404)
    const { url } = await enter(second.controllerId, second.person.refreshToken)
    const swapped = await harness.ask({
      host: first.host,
      path: url.pathname + url.search,
      headers: NAVIGATE,
    })
    assert.equal(swapped.headers['set-cookie'], undefined)
  })

  test('without its cookie sends pages to the portal and answers the rest with 401', async () => {
    const { host, controllerId } = await served()
    const navigation = await page(host, '', { path: '/x?y' })
    assert.equal(navigation.headers.location, `http://localhost:8080/c/${controllerId}/x?y`)
    assert.equal((await page(host, '', { headers: FETCH })).status, 401)
  })

  test('a cookie is bound to device, label, epoch and session, and can’t be made', async () => {
    const first = await served()
    const second = await served()
    const { cookie } = await enter(first.controllerId, first.person.refreshToken)
    assert.equal((await page(first.host, cookie)).status, 200)
    const isRefused = async (host: string, value: string) =>
      assert.equal((await page(host, value)).status, 303)
    harness.controlPlane.grant(first.person, second.controllerId)
    await isRefused(second.host, cookie)
    await isRefused(first.host, `${cookie}x`)
    await isRefused(first.host, cookie.replace(first.person.userId, second.person.userId))
    await isRefused(first.host, cookie.replace(/\.\d+\.([^.]+)$/, '.9999999999999.$1'))
  })

  test('O4: what another site makes the browser send is 403', async () => {
    const { host, controllerId, person } = await served()
    const { cookie } = await enter(controllerId, person.refreshToken)
    const refused: Partial<Ask>[] = [
      { method: 'POST', headers: { ...FETCH, 'sec-fetch-site': 'same-site' } },
      { method: 'POST', headers: { ...NAVIGATE, 'sec-fetch-site': 'cross-site' } },
      {
        headers: {
          ...FETCH,
          'sec-fetch-mode': 'no-cors',
          'sec-fetch-dest': 'image',
          'sec-fetch-site': 'same-site',
        },
      },
      { headers: { ...NAVIGATE, 'sec-fetch-dest': 'iframe', 'sec-fetch-site': 'same-site' } },
    ]
    for (const given of refused) assert.equal((await page(host, cookie, given)).status, 403)
    const plain = (headers: Ask['headers'], method = 'POST') =>
      harness.ask({ host, path: '/', method, headers: { cookie, ...headers } })
    assert.equal((await plain({ origin: 'http://evil.example' })).status, 403)
    assert.equal((await plain({})).status, 403)
    assert.equal((await plain({ origin: `http://${host}` })).status, 200)
    assert.equal((await page(host, cookie, { method: 'POST', headers: FETCH })).status, 200)
    assert.equal(
      (await page(host, cookie, { headers: { ...NAVIGATE, 'sec-fetch-site': 'cross-site' } })).status,
      200,
    )
  })

  test('O7: a device sets cookies for its own host only, and none of ours', async () => {
    const { host, controllerId, person, device } = await served()
    const { cookie } = await enter(controllerId, person.refreshToken)
    const many = Array.from({ length: 300 }, (_, index) => `c${index}=1; Path=/`)
    device.serve(() => ({
      headers: {
        'Set-Cookie': [
          '__Host-wmoc_page=evil; Path=/; Secure',
          '__host-WMOC_page=evil',
          '__Host-session=evil; Path=/; Secure',
          'sid=1; Domain=localhost; Path=/; SameSite=None; HttpOnly',
          '=nameless',
          ...many,
        ],
      },
    }))
    const cookies = (await page(host, cookie)).headers['set-cookie']!
    assert.equal(cookies.length, 20)
    assert.equal(cookies[0], 'sid=1; Path=/; Secure; HttpOnly; SameSite=Lax')
    assert.ok(cookies.every((line) => !/domain|evil/i.test(line) && line.includes('; Secure')))
  })

  test('O8: the device gets its own cookies and Authorization, never ours', async () => {
    const { host, controllerId, person, device } = await served()
    const { cookie } = await enter(controllerId, person.refreshToken)
    device.serve((request) => ({
      body: JSON.stringify([request.headers['cookie'], request.headers['authorization']]),
    }))
    const answer = await page(host, `${cookie}; sid=1; wmoc_x=2`, {
      headers: { authorization: 'Basic YTpi' },
    })
    assert.deepEqual(JSON.parse(answer.text), ['sid=1', 'Basic YTpi'])
  })

  test('its 401 with Basic is asked for by a form, here too', async () => {
    const { host, controllerId, person, device } = await served()
    const { cookie } = await enter(controllerId, person.refreshToken)
    const { authorizations } = serveBasic(device)
    const form = await page(host, cookie, { path: '/x' })
    assert.deepEqual([form.status, form.headers['www-authenticate']], [401, undefined])
    const token = /name="token" value="([^"]+)"/.exec(form.text)![1]!
    const posted = await page(host, cookie, {
      method: 'POST',
      path: '/_wmoc/sign-in',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
        origin: `http://${host}`,
      },
      body: new URLSearchParams({ token, username: USER, password: PASSWORD }).toString(),
    })
    assert.deepEqual([posted.status, posted.headers.location], [303, `http://${host}/x`])
    assert.equal((await page(host, cookie, { path: '/x' })).status, 200)
    assert.equal(authorizations.length, 1)
  })

  test('offline shows people a page that reloads itself, and programs a problem', async () => {
    const { host, controllerId, person, device } = await served()
    const { cookie } = await enter(controllerId, person.refreshToken)
    device.stop()
    await device.closed
    const shown = await page(host, cookie, { headers: { 'accept-language': 'ru,en' } })
    assert.equal(shown.status, 503)
    assert.match(shown.headers['content-type']!, /^text\/html/)
    assert.match(String(shown.headers['content-security-policy']), /default-src 'none'/)
    assert.match(shown.text, /http-equiv="refresh"/)
    assert.match(shown.text, /Контроллер не в сети.*Был в сети: <time/s)
    const fetched = await page(host, cookie, { headers: FETCH })
    assert.equal(fetched.status, 503)
    assert.match(fetched.headers['content-type']!, /^application\/problem\+json/)
  })

  test('/_wmoc/ never reaches the device, however it is written', async () => {
    const { host, controllerId, person, device } = await served()
    const { cookie } = await enter(controllerId, person.refreshToken)
    const reached: string[] = []
    device.serve((request) => {
      reached.push(request.path)
      return {}
    })
    const paths = [
      '/_wmoc/x',
      '/_wmoc',
      '/_WMOC/x',
      '/%5fwmoc/x',
      '/%255fwmoc/x',
      '//_wmoc/x',
      '/a/../_wmoc/x',
      '/\\_wmoc/x',
      '/_wmoc;a/x',
      '/_wmoc/enter?code=x',
    ]
    for (const path of paths) {
      const answer = await page(host, cookie, { path })
      assert.ok([303, 404].includes(answer.status), `${path} ${answer.status}`)
    }
    assert.deepEqual(reached, [])
    await page(host, cookie, { path: '/x_wmoc/?_wmoc' })
    assert.deepEqual(reached, ['/x_wmoc/?_wmoc'])
  })

  test('P2: a host that is no device of ours is 421', async () => {
    for (const host of [
      'nosuch.localhost:8080',
      'evil.example',
      'a.b.localhost:8080',
      'localhost.evil.example',
    ]) {
      assert.equal((await harness.ask({ host, path: '/', headers: NAVIGATE })).status, 421, host)
    }
  })
})
