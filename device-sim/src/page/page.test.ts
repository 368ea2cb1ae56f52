import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import type { SocketListener } from '../device/handler.ts'
import { RequestBody } from '../device/request-body.ts'
import { contentAt } from './content.ts'
import { createPageModel } from './model.ts'
import { createPage } from './page.ts'

type Heard = { isLive?: boolean; signal?: AbortSignal; heard?: (text: string) => void }

function device() {
  const changes: string[] = []
  const model = createPageModel({ model: 'Test <1>', firmware: '9', nowMs: () => 0, random: () => 0.5 })
  const page = createPage(model, (sentence) => changes.push(sentence))
  async function ask(
    method: string,
    path: string,
    headers: HeaderBlock = {},
    body: string | Buffer = '',
    { isLive = true, signal = new AbortController().signal, heard }: Heard = {},
  ) {
    const answer = {
      status: 0,
      headers: {} as HeaderBlock,
      trailers: {} as HeaderBlock | undefined,
      fault: '',
    }
    const pieces: Uint8Array[] = []
    const begin = (status: number, block: HeaderBlock) =>
      void Object.assign(answer, { status, headers: block })
    await page.request(
      { method, path, headers, body: RequestBody.of(Buffer.from(body)), isLive, signal },
      {
        whole(status, block, bytes) {
          if (bytes) pieces.push(bytes)
          return begin(status, block)
        },
        begin,
        write(bytes) {
          pieces.push(Buffer.from(bytes))
          heard?.(Buffer.from(bytes).toString())
          return undefined
        },
        end: (trailers) => void (answer.trailers = trailers),
        fail: (reason) => void (answer.fault = reason),
      },
    )
    const whole = Buffer.concat(pieces)
    return { ...answer, body: whole, text: whole.toString('utf8') }
  }
  /** Opens a WebSocket of the page; what it says is in `said`. */
  function connect(path: string, headers: HeaderBlock = {}) {
    const said: string[] = []
    const opened: { listener?: SocketListener; headers?: HeaderBlock; refused?: number } = {}
    page.socket(
      {
        method: 'GET',
        path,
        headers,
        body: RequestBody.empty,
        isLive: true,
        signal: new AbortController().signal,
      },
      {
        accept: (block, listener) => void Object.assign(opened, { headers: block, listener }),
        refuse: (status) => void (opened.refused = status),
        send: (bytes) => void said.push(Buffer.from(bytes).toString()),
        close: (code) => void said.push(`closed ${code}`),
        fail: () => undefined,
      },
    )
    return Object.assign(opened, { said })
  }
  return { ask, connect, model, changes }
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

  test('stores a big upload in constant memory, with its size and digest only', async () => {
    const { ask, model } = device()
    const bytes = Buffer.alloc(300_000, 'x')
    const form = new FormData()
    form.append('file', new Blob([bytes]), 'big.bin')
    const request = new Request('http://device/', { method: 'POST', body: form })
    const type = request.headers.get('content-type') ?? ''
    const body = Buffer.from(await request.arrayBuffer())
    assert.equal((await ask('POST', '/upload', { 'Content-Type': type }, body)).status, 303)
    const stored = model.files.get('big.bin')
    assert.deepEqual([stored?.size, stored?.bytes], [300_000, null])
    assert.equal(stored?.sha256, createHash('sha256').update(bytes).digest('hex'))
    assert.equal((await ask('GET', '/files/big.bin')).status, 404)
  })

  test('tells its status as events, over dialect v2 only', async () => {
    const { ask } = device()
    const leaving = new AbortController()
    const heard: string[] = []
    const answer = ask('GET', '/api/events', {}, '', {
      signal: leaving.signal,
      heard(text) {
        heard.push(text)
        if (text.startsWith('data:')) leaving.abort()
      },
    })
    await assert.rejects(answer, /aborted/)
    assert.equal(JSON.parse(heard[1]?.slice(6) ?? '').switch, false)
    assert.equal((await ask('GET', '/api/events', {}, '', { isLive: false })).status, 501)
    assert.match((await ask('GET', '/')).text, /data-events/)
    assert.doesNotMatch((await ask('GET', '/', {}, '', { isLive: false })).text, /data-events/)
  })

  test('gives downloads of any size whose bytes everybody knows, and parts of them', async () => {
    const { ask } = device()
    const whole = await ask('GET', '/api/download?bytes=200000')
    assert.deepEqual([whole.status, whole.headers['Content-Length']], [200, '200000'])
    assert.ok(whole.body.equals(Buffer.concat([...contentAt(0, 200_000)])))
    const ranges: [string, number, string | undefined][] = [
      ['bytes=70000-70099', 206, 'bytes 70000-70099/200000'],
      ['bytes=-10', 206, 'bytes 199990-199999/200000'],
      ['bytes=199999-', 206, 'bytes 199999-199999/200000'],
      ['bytes=200000-', 416, 'bytes */200000'],
      ['bytes=5-1', 416, 'bytes */200000'],
      ['lines=1-2', 200, undefined],
    ]
    for (const [range, status, told] of ranges) {
      const part = await ask('GET', '/api/download?bytes=200000', { Range: range })
      assert.deepEqual([part.status, part.headers['Content-Range']], [status, told], range)
      if (status !== 206) continue
      const [start = 0, end = 0] = /(\d+)-(\d+)/.exec(String(told))?.slice(1).map(Number) ?? []
      assert.ok(part.body.equals(whole.body.subarray(start, end + 1)), range)
    }
    const head = await ask('HEAD', '/api/download?bytes=5000000000')
    assert.deepEqual([head.status, head.headers['Content-Length'], head.body.length], [200, '5000000000', 0])
    assert.equal((await ask('GET', '/api/download?bytes=-1')).status, 400)
  })

  test('answers slowly, with trailers, and tells what a body was', async () => {
    const { ask } = device()
    assert.deepEqual(JSON.parse((await ask('GET', '/api/slow?ms=1')).text), { waitedMs: 1 })
    assert.equal((await ask('GET', '/api/drip?bytes=5&ms=1')).body.length, 5)
    assert.match(String((await ask('GET', '/api/trailers')).trailers?.['X-Digest']), /^sha-256=/)
    const { bytes, sha256 } = JSON.parse((await ask('POST', '/api/digest', {}, 'abc')).text)
    assert.deepEqual([bytes, sha256], [3, createHash('sha256').update('abc').digest('hex')])
    assert.equal((await ask('PUT', '/api/switch', {}, Buffer.alloc(20_000))).status, 413)
  })

  test('gives back what a WebSocket says, piece by piece, and not more than it can hold', () => {
    const { connect } = device()
    const { listener, headers, said } = connect('/ws/echo', { 'sec-websocket-protocol': 'one, two' })
    assert.equal(headers?.['Sec-WebSocket-Protocol'], 'one')
    void listener?.message(Buffer.from('he'), false, false)
    void listener?.message(Buffer.from('llo'), false, true)
    void listener?.message(Buffer.alloc(65_537), true, false)
    assert.deepEqual(said, ['hello', 'closed 1009'])
    assert.equal(connect('/ws/none').refused, 404)
  })

  test('tells its status over a WebSocket and takes wishes there', () => {
    const { connect, model } = device()
    const { listener, said } = connect('/ws/live')
    void listener?.message(Buffer.from('{"on":true}'), false, true)
    void listener?.message(Buffer.from('nonsense'), false, true)
    listener?.closed(1000, '')
    assert.equal(model.isOn, true)
    assert.deepEqual(
      said.map((text) => JSON.parse(text).switch),
      [false, true, true],
    )
  })
})
