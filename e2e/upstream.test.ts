/** A real web server behind `--upstream`, through the whole platform. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import { openBrowser, untilTrue } from '@wmoc/testkit/chromium'
import { startNginx } from '@wmoc/testkit/nginx'
import type { TestNginx } from '@wmoc/testkit/nginx'
import { openSignedIn } from './support/browser.ts'
import { openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'

const MIB = 1024 * 1024

suite('an unmodified nginx behind --upstream', () => {
  let platform: TestStack
  let nginx: TestNginx
  let owner: Person
  let page: string

  before(async () => {
    ;[platform, nginx] = await Promise.all([openStack(), startNginx({ downloadBytes: 200 * MIB })])
    owner = await platform.signIn('owner@wmoc.example')
    const { id } = await platform.claimSim(owner, { state: 'nginx', args: ['--upstream', nginx.url] })
    page = `/c/${id}`
  })
  after(async () => {
    await platform?.stop()
    await nginx?.stop()
  })

  test('downloads 200 MB without a wrong byte', async () => {
    const answer = await owner.fetch(`${page}/download.bin`)
    assert.equal(answer.status, 200)
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of answer.body!) {
      hash.update(chunk)
      bytes += chunk.byteLength
    }
    assert.equal(bytes, nginx.download!.bytes)
    assert.equal(hash.digest('hex'), nginx.download!.sha256)
  })

  test('answers ranges as nginx does', async () => {
    for (const range of ['bytes=0-0', 'bytes=1000000-1000999', 'bytes=-7']) {
      const [through, direct] = await Promise.all([
        owner.fetch(`${page}/download.bin`, { headers: { range } }),
        fetch(`${nginx.url}/download.bin`, { headers: { range } }),
      ])
      assert.equal(through.status, 206)
      assert.equal(through.headers.get('content-range'), direct.headers.get('content-range'))
      assert.deepEqual(await through.bytes(), await direct.bytes())
    }
    const beyond = await owner.fetch(`${page}/download.bin`, { headers: { range: 'bytes=900000000-' } })
    assert.equal(beyond.status, 416)
    await beyond.body?.cancel()
  })

  test('echoes a body of 5 MB byte for byte', async () => {
    const body = Buffer.alloc(5 * MIB, 'wmoc \0\xff', 'latin1')
    const answer = await owner.fetch(`${page}/app/echo`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body,
    })
    assert.equal(answer.status, 200)
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), body)
  })

  test('is browsed on its own origin: pages, style, form, cookies, upload', async () => {
    const browser = await openBrowser()
    try {
      const watched = await browser.newContext()
      const tab = await openSignedIn(platform, watched, owner.email)
      await tab.goto(`${platform.url}${page}/`)
      await tab.getByRole('heading', { name: 'Pump house' }).waitFor()
      assert.match(new URL(tab.url()).hostname, /^[a-z0-9-]+\.localhost$/)
      await untilTrue(tab, `getComputedStyle(document.body).backgroundColor === 'rgb(240, 248, 255)'`)
      await untilTrue(tab, `document.body.dataset.script === 'ran'`)
      await tab.screenshot({ path: artefact('screens', 'upstream-nginx.png') })

      await tab.getByRole('link', { name: 'Docs' }).click()
      await tab.getByRole('link', { name: 'Back to about' }).click()
      await tab.getByRole('heading', { name: 'About' }).waitFor()
      await tab.getByRole('link', { name: 'Form' }).click()
      await tab.getByLabel('Name').fill('Ann')
      await tab.getByRole('button', { name: 'Sign in' }).click()
      await tab.waitForURL('**/app/welcome')
      await tab.locator('#cookies', { hasText: /^theme=blue; user=Ann$/ }).waitFor()

      await tab.goto(new URL('/app/form', tab.url()).href)
      await tab
        .locator('input[type=file]')
        .setInputFiles({ name: 'a.bin', mimeType: 'x/y', buffer: Buffer.alloc(MIB) })
      await tab.getByRole('button', { name: 'Send' }).click()
      const stored = await tab.locator('#stored').textContent()
      assert.ok(Number.parseInt(stored ?? '', 10) > MIB)
      assert.deepEqual(
        watched.problems.filter((line) => line.includes('.localhost')),
        [],
      )
    } finally {
      await browser.close()
    }
  })
})
