import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { addController, look } from '#src/page/cache/testing/looker.ts'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

const OPENS = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html' }

suite('what allows the shim in a page with a policy of its own', { timeout: 120_000 }, () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  test('is each person’s own, stays the same for that person, and goes with the page that a browser keeps', async () => {
    const known = addController(harness)
    const device = await harness.online(known, { page_ports: [81], max_req_header: 2_048 })
    device.serve(({ headers }) => ({
      status: headers?.['if-none-match'] === '"1"' ? 304 : 200,
      headers: { 'Content-Type': 'text/html', 'Content-Security-Policy': "script-src 'self'", ETag: '"1"' },
      body: headers?.['if-none-match'] === '"1"' ? '' : '<p>x',
    }))
    const people = [await look(harness, known), await look(harness, known)]
    const open = async (at: number, more = {}) => {
      const { status, headers, text } = await people[at]!.load('/', { headers: { ...OPENS, ...more } })
      const nonce = /'nonce-([^']+)'/.exec(String(headers['content-security-policy']))?.[1]
      if (status === 200) assert.ok(text.includes(`nonce="${nonce}"`), text)
      return { status, nonce, tag: String(headers.etag) }
    }
    await open(0)
    const [first, again, other] = [await open(0), await open(0), await open(1)]
    assert.equal(again.nonce, first.nonce)
    assert.notEqual(other.nonce, first.nonce)
    const kept = { 'if-none-match': first.tag }
    assert.deepEqual(await open(0, kept), { ...first, status: 304 })
    assert.equal((await open(1, kept)).status, 200)
  })
})
