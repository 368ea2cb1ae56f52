import { test } from 'node:test'
import assert from 'node:assert/strict'
import { openBrowser } from '@wmoc/testkit/chromium'
import { startApi } from '#src/testing/harness.ts'

test(
  'the reference works in a browser under its policy and asks no foreign host',
  { timeout: 60_000 },
  async () => {
    const [under, browser] = await Promise.all([startApi({ worker: false }), openBrowser()])
    try {
      const context = await browser.newContext()
      const page = await context.newPage()
      const hosts = new Set<string>()
      page.on('request', (request) => hosts.add(new URL(request.url()).host))
      await page.goto(`${under.url}/api/docs`)
      await page.getByText('Add a controller').click()
      await page.getByText('Idempotency-Key').first().waitFor()
      assert.deepEqual(context.problems, [])
      assert.deepEqual([...hosts], [new URL(under.url).host])
      await context.close()
      const api = await under.request('/api/meta')
      assert.equal(api.headers.get('content-security-policy'), "default-src 'none';frame-ancestors 'none'")
      assert.equal(api.headers.get('x-content-type-options'), 'nosniff')
    } finally {
      await browser.close()
      await under.close()
    }
  },
)
