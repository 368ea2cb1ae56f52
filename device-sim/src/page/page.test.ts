import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { createPageModel } from './model.ts'
import { createPage } from './page.ts'

function device() {
  const changes: string[] = []
  const model = createPageModel({ model: 'Test <1>', firmware: '9', nowMs: () => 0, random: () => 0.5 })
  const handler = createPage(model, (sentence) => changes.push(sentence))
  async function ask(method: string, path: string, headers: HeaderBlock = {}, body: string | Buffer = '') {
    const answer = { status: 0, headers: {} as HeaderBlock, body: Buffer.alloc(0) }
    const refuse = () => Promise.reject(new Error('not streamed'))
    await handler(
      { method, path, headers, body: Buffer.from(body), signal: new AbortController().signal },
      {
        async whole(status, block, bytes = new Uint8Array()) {
          Object.assign(answer, { status, headers: block, body: Buffer.from(bytes) })
        },
        begin: refuse,
        write: refuse,
        end: refuse,
        fail: refuse,
      },
    )
    return { ...answer, text: answer.body.toString('utf8') }
  }
  return { ask, model, changes }
}

suite('the page of the simulated controller', () => {
  test('shows its values and the switch, and flips it', async () => {
    const { ask, model, changes } = device()
    assert.match((await ask('GET', '/')).text, /<strong id="switch-state">off</)
    const flipped = await ask('POST', '/switch', {}, 'on=1')
    assert.deepEqual([flipped.status, flipped.headers['Location'], model.isOn], [303, '/', true])
    assert.match((await ask('GET', '/')).text, /<strong id="switch-state">on</)
    assert.deepEqual(changes, ['heater turned on from the web page'])
  })

  test('keeps settings, says so once by a cookie, and refuses nonsense', async () => {
    const { ask, model } = device()
    const saved = await ask('POST', '/settings', {}, 'name=Sauna&targetCelsius=80&reportSec=10')
    assert.deepEqual([saved.status, model.settings.name], [303, 'Sauna'])
    assert.match(String(saved.headers['Set-Cookie']), /^saved=1;/)
    const shown = await ask('GET', '/settings', { cookie: 'a=b; saved=1' })
    assert.match(shown.text, /role="status">Saved/)
    assert.ok(Array.isArray(shown.headers['Set-Cookie']))
    assert.equal((await ask('POST', '/settings', {}, 'name=&targetCelsius=900')).status, 422)
    assert.equal(model.settings.name, 'Sauna')
  })

  test('stores an upload with size and digest and gives it back as a download', async () => {
    const { ask } = device()
    const bytes = Buffer.from([0, 255, 13, 10, 45, 45])
    const form = new FormData()
    form.append('file', new Blob([bytes]), '<b>ü.bin')
    const request = new Request('http://device/', { method: 'POST', body: form })
    const type = request.headers.get('content-type') ?? ''
    const stored = await ask(
      'POST',
      '/upload',
      { 'Content-Type': type },
      Buffer.from(await request.arrayBuffer()),
    )
    assert.equal(stored.status, 303)
    const list = (await ask('GET', '/files')).text
    assert.ok(list.includes(createHash('sha256').update(bytes).digest('hex')))
    assert.ok(!list.includes('<b>ü'))
    const href = /href="(\/files\/[^"]+)"/.exec(list)?.[1] ?? ''
    const download = await ask('GET', href)
    assert.deepEqual(download.body, bytes)
    assert.equal(download.headers['Content-Type'], 'application/octet-stream')
    assert.equal((await ask('POST', '/upload', { 'Content-Type': type }, 'no form')).status, 400)
  })

  test('answers 304 for what the browser has, and a compressed script', async () => {
    const { ask } = device()
    const style = await ask('GET', '/style.css')
    const again = await ask('GET', '/style.css', { 'If-None-Match': String(style.headers['ETag']) })
    assert.deepEqual([style.status, again.status, again.body.length], [200, 304, 0])
    const script = await ask('GET', '/app.js')
    assert.equal(script.headers['Content-Encoding'], 'gzip')
    assert.match(gunzipSync(script.body).toString('utf8'), /api\/status/)
  })

  test('answers HEAD with the length and no body', async () => {
    const { ask } = device()
    const { status, headers, body } = await ask('HEAD', '/about')
    assert.equal(status, 200)
    assert.ok(Number(headers['Content-Length']) > 100)
    assert.equal(body.length, 0)
  })

  test('redirects, refuses unknown paths and wrong methods', async () => {
    const { ask } = device()
    assert.deepEqual(
      (
        await Promise.all(
          ['/old-status', '/index.html', '/nothing', '/../x', '//'].map((path) => ask('GET', path)),
        )
      ).map(({ status }) => status),
      [302, 301, 404, 404, 404],
    )
    const wrong = await ask('PUT', '/switch')
    assert.deepEqual([wrong.status, wrong.headers['Allow']], [405, 'POST'])
  })

  test('speaks JSON too', async () => {
    const { ask, model } = device()
    const put = await ask('PUT', '/api/switch', {}, '{"on":true}')
    assert.equal(JSON.parse(put.text).switch, true)
    assert.equal(model.isOn, true)
    assert.equal((await ask('PUT', '/api/switch', {}, '{"on":1}')).status, 400)
    assert.equal((await ask('DELETE', '/api/files')).status, 204)
    assert.equal((await ask('GET', '/bytes/1024')).body.length, 1_024)
    assert.equal((await ask('GET', '/bytes/99999999')).status, 400)
    assert.deepEqual(
      (await ask('POST', '/api/echo', { 'content-type': 'a/b' }, Buffer.from([0, 255]))).body,
      Buffer.from([0, 255]),
    )
  })

  test('lets nothing of a name become markup', async () => {
    const { ask } = device()
    await ask(
      'POST',
      '/settings',
      {},
      `name=${encodeURIComponent('"><script>x</script>')}&targetCelsius=20&reportSec=5`,
    )
    for (const path of ['/', '/settings', '/files', '/about', '/none']) {
      assert.ok(!(await ask('GET', path)).text.includes('<script>x'), path)
    }
  })
})
