import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { addController, look } from './testing/looker.ts'

const LONG = '<p>A line like the others.</p>\n'.repeat(2_000)

suite('compression towards the browser', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  async function opened() {
    const known = addController(harness)
    const device = await harness.online(known, { max_req_header: 2_048 })
    return { device, owner: await look(harness, known) }
  }
  const accepting = (value: string, more = {}) => ({ headers: { 'accept-encoding': value, ...more } })

  test('is the browser’s coding of the device’s plain bytes, and the device hears nothing of it', async () => {
    const { device, owner } = await opened()
    device.serve(() => ({ headers: { 'Content-Type': 'text/html', ETag: '"1"' }, body: LONG }))
    const br = await owner.load('/', accepting('gzip, deflate, br'))
    assert.equal(br.headers['content-encoding'], 'br')
    assert.equal(br.headers.etag, '"1-wmoc"')
    assert.equal(br.headers.vary, 'Accept-Encoding')
    assert.equal(brotliDecompressSync(br.body).toString(), LONG)
    assert.ok(br.body.length < LONG.length / 20)
    const gzip = await owner.load('/', accepting('gzip'))
    assert.equal(gunzipSync(gzip.body).toString(), LONG)
    const plain = await owner.load('/')
    assert.deepEqual([plain.headers['content-encoding'], plain.text], [undefined, LONG])
  })

  test('a browser that has our bytes is told that nothing changed, by the tag that it knows', async () => {
    const { device, owner } = await opened()
    device.serve(({ headers }) =>
      headers['if-none-match'] === '"1"'
        ? { status: 304, headers: { ETag: '"1"' } }
        : { headers: { 'Content-Type': 'text/html', ETag: '"1"' }, body: LONG },
    )
    const { headers } = await owner.load('/', accepting('br'))
    const again = await owner.load('/', accepting('br', { 'if-none-match': headers.etag }))
    assert.deepEqual([again.status, again.headers.etag, again.text], [304, '"1-wmoc"', ''])
  })

  test('what comes slowly is shown as it comes, and a cut stays a cut', async () => {
    const { device, owner } = await opened()
    const head = { status: 200, headers: { 'Content-Type': 'text/plain' } }
    device.serve(({ id, path }) => {
      device.send({ type: 'http_response', id, ...head, body: LONG.slice(0, 1_000), more: true })
      setTimeout(() => {
        const cut = path === '/cut' ? { error: 'broken' } : {}
        device.send({ type: 'http_response_chunk', id, body: LONG.slice(1_000), more: false, ...cut })
      }, 100)
      return null
    })
    const whole = await owner.load('/whole', accepting('br'))
    assert.equal(brotliDecompressSync(whole.body).toString(), LONG)
    assert.ok((await owner.load('/cut', accepting('br'))).isCut)
  })

  test('events, pictures and what has a coding pass as they are', async () => {
    const { device, owner } = await opened()
    for (const headers of [
      { 'Content-Type': 'text/event-stream' },
      { 'Content-Type': 'image/png' },
      { 'Content-Type': 'text/css', 'Content-Encoding': 'gzip' },
    ]) {
      device.serve(() => ({ headers, body: LONG }))
      const answer = await owner.load('/', accepting('br'))
      assert.equal(answer.text, LONG)
    }
  })
})
