import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { openFrame, served } from '#src/page/testing/frames.ts'
import type { Served } from '#src/page/testing/frames.ts'
import { startHarness } from '#src/testing/harness.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'
import { SHIM, SHIM_ADDRESS } from './script.ts'

const FROM_FRAME = {
  origin: 'null',
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'cors',
  'sec-fetch-dest': 'empty',
}

suite('what the shim needs of the gateway', () => {
  let harness: Harness
  let page: Served & { src: string }
  before(async () => {
    harness = await startHarness({ DEVICE_DOMAIN: '' })
    page = await open()
  })
  after(() => harness.stop())

  async function open(): Promise<Served & { src: string }> {
    const device = await served(harness)
    const { src } = await openFrame(harness, device.id, device.person)
    return { ...device, src: src.slice(0, -1) }
  }

  const ask = (given: Ask) =>
    harness.ask({ ...given, path: page.src + given.path, headers: { ...FROM_FRAME, ...given.headers } })

  test('the shim is kept for ever by its version, in the smallest form, and not where it is another version', async () => {
    const forms = { br: brotliDecompressSync, gzip: gunzipSync }
    for (const [coding, decode] of Object.entries(forms)) {
      const { status, headers, body } = await ask({
        path: SHIM_ADDRESS,
        headers: { 'accept-encoding': coding },
      })
      assert.deepEqual([status, headers['content-encoding'], headers.vary], [200, coding, 'Accept-Encoding'])
      assert.deepEqual(decode(body), SHIM)
    }
    const plain = await ask({ path: SHIM_ADDRESS })
    assert.deepEqual(plain.body, SHIM)
    assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8')
    assert.equal(plain.headers['cache-control'], 'private, max-age=31536000, immutable')
    assert.equal(plain.headers['access-control-allow-origin'], 'null')
    assert.equal(plain.headers['cross-origin-resource-policy'], 'cross-origin')
    assert.equal((await ask({ path: '/_wmoc/shim.js?v=older' })).headers['cache-control'], 'no-store')
    assert.equal((await ask({ path: SHIM_ADDRESS, method: 'POST' })).status, 405)
  })

  test('O7: a script reads and sets the page’s cookies, but none that are kept from it', async () => {
    page.device.serve(({ headers }) => ({
      headers: {
        'Content-Type': 'text/plain',
        'Set-Cookie': ['seen=1; Path=/', 'secret=2; Path=/; HttpOnly'],
      },
      body: String(headers['cookie'] ?? ''),
    }))
    await ask({ path: '/' })
    const set = (cookie: string, path = '/') =>
      ask({ path: `/_wmoc/cookie?${path}`, method: 'POST', body: cookie })
    assert.equal((await ask({ path: '/_wmoc/cookie?/' })).text, 'seen=1')
    assert.equal((await set('mine=3; path=/; Secure; SameSite=None')).text, 'seen=1; mine=3')
    assert.equal((await set('deep=4', '/a/b?c')).text, 'deep=4; seen=1; mine=3')
    for (const refused of [
      'secret=stolen; Path=/',
      'own=x; Path=/; HttpOnly',
      '__Host-wmoc_page=x; Path=/',
      'bad',
    ])
      assert.equal((await set(refused)).text, 'seen=1; mine=3', refused)
    assert.equal((await ask({ path: '/a/c' })).text, 'deep=4; seen=1; secret=2; mine=3')
    assert.equal((await set('mine=; path=/; Max-Age=0')).text, 'seen=1')
    assert.equal((await set(`big=${'x'.repeat(5_000)}`)).status, 413)
  })

  test('O4: a page’s cookies are nobody else’s', async () => {
    await ask({ path: '/_wmoc/cookie?/', method: 'POST', body: 'mine=3; path=/' })
    const other = await open()
    const told = await harness.ask({ path: `${other.src}/_wmoc/cookie?/`, headers: FROM_FRAME })
    assert.deepEqual([told.status, told.text], [200, ''])
    const { accessToken } = page.person
    const program = await harness.ask({
      path: `/c/${page.id}/_wmoc/cookie?/`,
      headers: { authorization: `Bearer ${accessToken}` },
    })
    assert.equal(program.status, 404)
    assert.equal(
      (await ask({ path: '/_wmoc/cookie?/', headers: { origin: 'https://evil.example' } })).status,
      403,
    )
  })
})
