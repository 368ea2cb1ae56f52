import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'
import { IN_FRAME, openAsGuest, served } from './testing/frames.ts'
import { PASSWORD, USER } from './testing/protected-device.ts'

const PART = { ...IN_FRAME, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script', accept: '*/*' }
const FORM = { 'content-type': 'application/x-www-form-urlencoded', origin: 'null' }

suite('guests of one link are strangers to each other', { timeout: 120_000 }, () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ DEVICE_DOMAIN: '', TRUSTED_HOPS: '1' })
  })
  after(() => harness.stop())

  async function guests() {
    const { id, known, device } = await served(harness, 'owner', { max_req_header: 2_048, max_streams: 8 })
    const { token } = harness.controlPlane.addLink(known, 'use')
    async function come() {
      const { src } = JSON.parse((await openAsGuest(harness, id, token)).text) as { src: string }
      const base = src.slice(0, -1)
      const ask = (path: string, given: Omit<Partial<Ask>, 'path'> = {}) =>
        harness.ask({ headers: IN_FRAME, ...given, path: base + path })
      const part = (path: string, headers = {}) => ask(path, { headers: { ...PART, ...headers } })
      return { base, ask, part }
    }
    return { device, one: await come(), other: await come() }
  }

  type Guest = Awaited<ReturnType<typeof guests>>['one']

  /** Types the device's name and password into the form. */
  async function signIn({ ask }: Guest): Promise<void> {
    const token = /name="token" value="([^"]+)"/.exec((await ask('/')).text)![1]!
    const body = new URLSearchParams({ token, username: USER, password: PASSWORD }).toString()
    const headers = { ...IN_FRAME, ...FORM }
    assert.equal((await ask('/_wmoc/sign-in', { method: 'POST', headers, body })).status, 303)
  }

  const isSigned = (request: Parameters<Parameters<RawDevice['serve']>[0]>[0]) =>
    request.headers?.['authorization'] !== undefined
  const refusal = { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } }

  async function joined(): Promise<number> {
    return Number(
      /page_cache_requests_total\{result="coalesced"\} (\d+)/.exec(await harness.metrics())?.[1] ?? 0,
    )
  }

  test('O8: one’s cookies of the device are never sent for another', async () => {
    const { device, one, other } = await guests()
    device.serve(({ path, headers }) =>
      path === '/login'
        ? { headers: { 'Set-Cookie': 'session=secret; HttpOnly' }, body: 'in' }
        : { headers: { 'Content-Type': 'text/plain' }, body: String(headers?.['cookie'] ?? 'nobody') },
    )
    await one.ask('/login')
    assert.equal((await one.ask('/who')).text, 'session=secret')
    assert.equal((await other.ask('/who')).text, 'nobody')
    const headers = { ...PART, origin: 'null' }
    await one.ask('/_wmoc/cookie?/', { method: 'POST', headers, body: 'a=1' })
    assert.equal((await one.ask('/_wmoc/cookie?/', { headers })).text, 'a=1')
    assert.equal((await other.ask('/_wmoc/cookie?/', { headers })).text, '')
  })

  test('O15: what the device said to one who signed in is kept for nobody else', async () => {
    const { device, one, other } = await guests()
    device.serve((request) =>
      isSigned(request)
        ? { headers: { 'Content-Type': 'text/javascript', 'Cache-Control': 'max-age=60' }, body: 'secret' }
        : refusal,
    )
    await signIn(one)
    for (const _ of [1, 2]) assert.equal((await one.part('/a.js')).text, 'secret')
    assert.equal((await other.part('/a.js')).status, 401)
  })

  test('what is no one’s own is kept for all of them', async () => {
    const { device, one, other } = await guests()
    let asked = 0
    device.serve(() => {
      asked += 1
      return { headers: { 'Content-Type': 'text/javascript', 'Cache-Control': 'max-age=60' }, body: 'open' }
    })
    for (const guest of [one, other]) assert.equal((await guest.part('/a.js')).text, 'open')
    assert.equal(asked, 1)
  })

  test('O15: nobody joins the question of one who signed in and gets the answer', async () => {
    const { device, one, other } = await guests()
    const held: string[] = []
    let isSlow = false
    device.serve((request) => {
      if (!isSigned(request)) return refusal
      if (!isSlow) return { body: 'in' }
      held.push(request.id)
      return null
    })
    await signIn(one)
    assert.equal((await one.ask('/')).status, 200)
    isSlow = true
    const count = await joined()
    const first = one.part('/a.js')
    await until(() => held.length === 1)
    const second = other.part('/a.js')
    await until(async () => (await joined()) === count + 1)
    device.send({ type: 'http_response', id: held[0], status: 200, headers: {}, body: 'secret' })
    assert.deepEqual([(await first).text, (await second).status], ['secret', 401])
  })

  test('O15: who knows the entity tag of what one signed in for gets nothing of it', async () => {
    const { device, one, other } = await guests()
    const held: string[] = []
    device.serve((request) => {
      if (!isSigned(request)) return refusal
      const isKnown = request.headers?.['if-none-match'] !== undefined
      if (!isKnown) return { headers: { ETag: '"1"', 'Content-Type': 'text/javascript' }, body: 'secret' }
      held.push(request.id)
      return null
    })
    await signIn(one)
    assert.equal((await one.part('/a.js')).text, 'secret')
    const again = one.part('/a.js')
    await until(() => held.length === 1)
    assert.equal((await other.part('/a.js', { 'if-none-match': '"1"' })).status, 401)
    device.send({ type: 'http_response', id: held[0], status: 304, headers: { ETag: '"1"' } })
    assert.equal((await again).text, 'secret')
  })

  test('O9: a redirect that one joined leads to one’s own address, not to the other’s', async () => {
    const { device, one, other } = await guests()
    const count = await joined()
    const first = one.part('/')
    const { id } = await device.next('http_request')
    const second = other.part('/')
    await until(async () => (await joined()) === count + 1)
    const reply = { type: 'http_response', status: 302, headers: { Location: '/index.html' } }
    device.send({ ...reply, id })
    device.send({ ...reply, id: (await device.next('http_request')).id })
    const { location: own } = (await first).headers
    const { location: theirs } = (await second).headers
    assert.deepEqual([own, theirs], [`${one.base}/index.html`, `${other.base}/index.html`])
  })

  test('O15: a copy of what one saw signed in is shown to nobody else while the device is away', async () => {
    const { device, one, other } = await guests()
    device.serve((request) =>
      isSigned(request) ? { headers: { 'Content-Type': 'text/html' }, body: '<p>secret</p>' } : refusal,
    )
    await signIn(one)
    assert.match((await one.ask('/')).text, /secret/)
    device.serve(() => ({ headers: { 'Content-Type': 'text/html' }, body: '<p>open</p>' }))
    assert.match((await other.ask('/open')).text, /open/)
    // The later of the two is kept by now, so that the earlier one would be.
    device.stop()
    await until(async () => /open/.test((await other.ask('/open')).text))
    const pages = [await one.ask('/'), await other.ask('/')]
    assert.deepEqual(
      pages.map(({ status }) => status),
      [503, 503],
    )
    for (const { text } of pages) assert.doesNotMatch(text, /secret/)
  })
})
