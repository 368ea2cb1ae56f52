import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { after, before, suite, test } from 'node:test'
import * as zlib from 'node:zlib'
import { addController, look } from '#src/page/cache/testing/looker.ts'
import { IN_FRAME, openFrame, served } from '#src/page/testing/frames.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { Asked } from '#src/testing/raw-device-v2.ts'

const AGENT = { max_chunk: 16_384, max_message: 65_536, rx_window: 65_536, rx_budget: 262_144 }
const CREDENTIALS = { max_req_header: 4_096, max_streams: 16, ip: '192.168.1.5', page_ports: [81] }
const BY_SCRIPT = { 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors' }
const SHIM = /<script src="([^"]+)"(?: nonce="([^"]+)")? data-page='[^']+'><\/script>/
const MIB = 1_048_576

suite('pages on their way to a browser', () => {
  let harness: Harness
  let prefix: string
  let serve: (handler: (asked: Asked) => void) => void
  before(async () => {
    harness = await startHarness({ DEVICE_DOMAIN: '' })
    const { known, id, person } = await served(harness)
    const device = await onlineV2(harness.port, known, { ...AGENT, credentials: CREDENTIALS })
    prefix = (await openFrame(harness, id, person)).src.slice(0, -1)
    serve = (handler) => device.serve(handler)
  })
  after(() => harness.stop())

  const get = (path: string, headers: Ask['headers'] = {}, given: Partial<Ask> = {}) =>
    harness.ask({ ...given, path: prefix + path, headers: { ...IN_FRAME, ...headers } })
  /** Answers everything with this. */
  const serveOne = (type: string, body: string | Uint8Array, headers: readonly string[] = [], status = 200) =>
    serve((asked) => answer(asked, body, status, ['content-type', type, ...headers]))

  test('are mapped below the prefix, with the shim first', async () => {
    serveOne(
      'text/html; charset=utf-8',
      '<!doctype html><title>Пр</title><img src="http://192.168.1.5:81/x"><a href="/x">',
    )
    const { text, headers } = await get('/page-1')
    const shim = SHIM.exec(text)!
    assert.equal(
      text.replace(SHIM, ''),
      `<!doctype html><title>Пр</title><img src="${prefix}~81/x"><a href="${prefix}/x">`,
    )
    assert.ok(text.startsWith('<!doctype html><script'))
    assert.match(String(headers['vary']), /Sec-Fetch-Dest/)
    assert.equal(headers['transfer-encoding'], 'chunked')
    const script = await harness.ask({ path: shim[1]!, headers: { ...IN_FRAME, 'sec-fetch-dest': 'script' } })
    assert.match(String(script.headers['cache-control']), /immutable/)
  })

  test('that a script asks for are mapped, and nothing is put in', async () => {
    serveOne('text/html', 'OK <a href="/x">')
    assert.equal((await get('/part', BY_SCRIPT)).text, `OK <a href="${prefix}/x">`)
  })

  test('of other types pass untouched', async () => {
    const body = '<a href="/x"> url(/x)'
    for (const type of [
      'text/plain',
      'application/json',
      'text/javascript',
      'image/svg+xml',
      'application/problem+json',
    ]) {
      serveOne(type, body, ['content-length', String(body.length), 'etag', '"1"'])
      const { text, headers } = await get(`/${type}`, BY_SCRIPT)
      assert.deepEqual(
        [text, headers['etag'], headers['content-length']],
        [body, '"1"', String(body.length)],
        type,
      )
    }
    serveOne('text/css', 'a{b:url(/x)}')
    assert.equal((await get('/x.css', { 'sec-fetch-dest': 'style' })).text, `a{b:url(${prefix}/x)}`)
    serveOne('application/xhtml+xml', '<html xmlns="x"><a href="/x"/></html>')
    assert.equal((await get('/x.xhtml')).text, `<html xmlns="x"><a href="${prefix}/x"/></html>`)
  })

  test('that tell of an error are pages, too', async () => {
    serveOne('text/html', '<a href="/x">', [], 404)
    const { text, status } = await get('/missing')
    assert.deepEqual([status, text.replace(SHIM, '')], [404, `<a href="${prefix}/x">`])
  })

  test('keep their coding, or lose it where the browser does not know it', async () => {
    const page = `<p>${'text '.repeat(5_000)}</p><a href="/x">`
    const mapped = page.replace('"/x"', `"${prefix}/x"`)
    const forms = [
      ['gzip', zlib.gzipSync(page), zlib.gunzipSync],
      ['deflate', zlib.deflateSync(page), zlib.inflateSync],
      ['deflate', zlib.deflateRawSync(page), zlib.inflateSync],
      ['br', zlib.brotliCompressSync(page), zlib.brotliDecompressSync],
      ['zstd', zlib.zstdCompressSync(page), zlib.zstdDecompressSync],
    ] as const
    for (const [turn, [coding, body, decode]] of forms.entries()) {
      serveOne('text/html', body, ['content-encoding', coding, 'content-length', String(body.length)])
      const kept = await get(`/kept-${turn}`, { 'accept-encoding': coding })
      assert.equal(kept.headers['content-encoding'], coding)
      assert.equal(decode(kept.body).toString().replace(SHIM, ''), mapped, coding)
      const plain = await get(`/plain-${turn}`, { 'accept-encoding': `${coding};q=0` })
      assert.equal(plain.headers['content-encoding'], undefined)
      assert.equal(plain.text.replace(SHIM, ''), mapped, coding)
    }
    serveOne('text/html', '<a href="/x">', ['content-encoding', 'compress'])
    assert.equal((await get('/unknown')).text, '<a href="/x">')
    serveOne('text/html', '', ['content-encoding', 'gzip'])
    assert.deepEqual([(await get('/empty')).text, (await get('/empty')).isCut], ['', false])
  })

  test('T9: that are not what they say, or far more than they say, are cut and never whole', async () => {
    const page = zlib.gzipSync(`<p>${randomBytes(60_000).toString('hex')}`)
    const bodies: readonly (readonly [about: string, body: Uint8Array, coding: string])[] = [
      ['no gzip', Buffer.from('<a href="/x">'), 'gzip'],
      ['no brotli', Buffer.from('<a href="/x">'), 'br'],
      ['a part of one', page.subarray(0, page.length - 20), 'gzip'],
      ['a broken one', Buffer.concat([page.subarray(0, 1_000), randomBytes(20_000)]), 'gzip'],
      ['a bomb', zlib.gzipSync(Buffer.alloc(32 * MIB, '<')), 'gzip'],
      ['a wider window than is allowed', wideWindow(), 'zstd'],
      ['a bomb of another kind', zlib.brotliCompressSync(Buffer.alloc(32 * MIB, 'x')), 'br'],
    ]
    for (const [turn, [about, body, coding]] of bodies.entries())
      for (const accepted of [coding, 'identity']) {
        serveOne('text/html', body, ['content-encoding', coding, 'cache-control', 'no-store'])
        const outcome = await get(`/bad-${turn}-${accepted}`, { 'accept-encoding': accepted }).then(
          ({ isCut, body: { length } }) => ({ isCut, length }),
          () => ({ isCut: true, length: 0 }),
        )
        assert.ok(outcome.isCut, `${about}, ${accepted}`)
        assert.ok(outcome.length < 2 * MIB, `${about}, ${accepted}: ${outcome.length} bytes`)
      }
  })

  test('are asked for anew only when they changed', async () => {
    serve((asked) => {
      const at = asked.request.headers.indexOf('if-none-match')
      const isSame = asked.request.headers[at + 1] === '"v1"' && at >= 0
      answer(asked, isSame ? '' : '<a href="/x">', isSame ? 304 : 200, [
        ...(isSame ? [] : ['content-type', 'text/html']),
        'etag',
        '"v1"',
        'cache-control',
        'no-cache, no-store',
        'content-security-policy',
        "script-src 'self'",
      ])
    })
    const first = await get('/tagged')
    const tag = first.headers['etag']!
    assert.match(tag, /^W\/"v1~s[0-9a-f]{8}"$/)
    const nonce = SHIM.exec(first.text)![2]!
    const policy = first.headers['content-security-policy']
    assert.ok(String(policy).includes(`'nonce-${nonce}'`), String(policy))
    const again = await get('/tagged', { 'if-none-match': tag })
    assert.deepEqual([again.status, again.headers['etag'], again.body.length], [304, tag, 0])
    // A browser takes the new head to the body that it kept.
    assert.ok(String(again.headers['content-security-policy']).includes(`'nonce-${nonce}'`))
    assert.equal((await get('/tagged', { 'if-none-match': '"v1~sffffffff"' })).status, 200)
    const byScript = await get('/tagged', { ...BY_SCRIPT, 'if-none-match': tag })
    assert.equal(byScript.status, 200, 'a script gets another text')
  })

  test('are asked for whole, since no part of them is a part of what the device has', async () => {
    serve((asked) => {
      const isPart = asked.request.headers.includes('range')
      const type = asked.request.path.endsWith('.bin') ? 'application/octet-stream' : 'text/html'
      const range = isPart ? ['content-range', 'bytes 0-1/13'] : []
      answer(asked, isPart ? '<a' : '<a href="/x">', isPart ? 206 : 200, [
        'content-type',
        type,
        'accept-ranges',
        'bytes',
        'cache-control',
        'no-store',
        ...range,
      ])
    })
    const page = await get('/whole', { range: 'bytes=0-1' })
    assert.deepEqual([page.status, page.headers['accept-ranges']], [200, undefined])
    const file = await get('/file.bin', { ...BY_SCRIPT, range: 'bytes=0-1' })
    assert.deepEqual([file.status, file.text, file.headers['accept-ranges']], [206, '<a', 'bytes'])
    const part = await get('/part', { ...BY_SCRIPT, range: 'bytes=0-1' })
    assert.deepEqual([part.status, part.text], [206, '<a'])
  })

  test('tell by HEAD what GET would tell, but no length', async () => {
    serve((asked) => {
      asked.stream.respond(
        { status: 200, headers: ['content-type', 'text/html', 'content-length', '5', 'etag', '"1"'] },
        true,
      )
    })
    const { headers } = await get('/head', {}, { method: 'HEAD' })
    assert.equal(headers['content-length'], undefined)
    assert.match(headers['etag']!, /^W\/"1~s/)
  })

  test('have their Link header and their policy mapped', async () => {
    serveOne('text/html', '<p>', [
      'link',
      '</a.css>; rel=preload; as=style, <https://cdn.example/b>; rel=preconnect',
      'content-security-policy',
      "default-src 'self' http://192.168.1.5; script-src 'unsafe-inline'",
    ])
    const { headers } = await get('/linked')
    assert.equal(
      headers['link'],
      `<${prefix}/a.css>; rel=preload; as=style, <https://cdn.example/b>; rel=preconnect`,
    )
    const origin = 'http://localhost:8080'
    assert.ok(
      String(headers['content-security-policy']).startsWith(
        `default-src 'self' ${origin}${prefix}/; script-src 'unsafe-inline' ${origin}${prefix}/_wmoc/shim.js`,
      ),
    )
  })

  test('are shown while they grow, in a coding or without', async () => {
    for (const coding of ['identity', 'gzip']) {
      const streams: Asked['stream'][] = []
      const encoder = zlib.createGzip()
      serve(({ stream }) => {
        streams.push(stream)
        const encoded = coding === 'gzip' ? ['content-encoding', 'gzip'] : []
        stream.respond(
          { status: 200, headers: ['content-type', 'text/html', 'cache-control', 'no-store', ...encoded] },
          false,
        )
        if (coding === 'identity') stream.write(Buffer.from('<p>line 1<br>'))
      })
      if (coding === 'gzip') {
        encoder.on('data', (bytes: Buffer) => streams[0]!.write(bytes))
      }
      const { response, request } = await open(`${prefix}/growing-${coding}`, { 'accept-encoding': coding })
      let seen = ''
      const decoder = coding === 'gzip' ? response.pipe(zlib.createGunzip()) : response
      decoder.on('data', (bytes: Buffer) => (seen += bytes.toString()))
      decoder.on('error', () => undefined)
      if (coding === 'gzip') {
        encoder.write('<p>line 1<br>')
        encoder.flush()
      }
      await until(() => seen.endsWith('line 1<br>'))
      request.destroy()
      encoder.destroy()
    }
  })

  test('T11: a slow reader stops the device, and gets the whole page once it reads', async () => {
    for (const coding of ['identity', 'gzip'] as const) {
      const text = '<a href="/x">text</a>'.repeat(20) + randomBytes(16_000).toString('hex')
      const piece = coding === 'gzip' ? zlib.gzipSync(text) : Buffer.from(text)
      const pieces = Math.ceil((12 * MIB) / piece.length)
      const asked: Asked[] = []
      serve((given) => {
        asked.push(given)
        const encoded = coding === 'gzip' ? ['content-encoding', 'gzip'] : []
        const headers = ['content-type', 'text/html', 'cache-control', 'no-store', ...encoded]
        given.stream.respond({ status: 200, headers }, false)
        for (let turn = 0; turn < pieces; turn += 1) given.stream.write(piece)
        given.stream.end()
      })
      // As it is: what is measured is what passes the rewriter.
      const { response, request } = await open(`${prefix}/slow-${coding}`, { 'accept-encoding': coding })
      response.pause()
      const { stream } = asked[0]!
      let queued = -1
      await until(async () => {
        const earlier = queued
        queued = stream.queuedBytes
        await new Promise((resolve) => setTimeout(resolve, 300))
        return queued === earlier
      }, 60_000)
      // What lies between are the buffers of two sockets.
      assert.ok(queued > 3 * MIB, `${coding}: only ${queued} bytes wait at the device`)
      // What is compressed takes its time on a busy machine; that it comes whole is said above.
      if (coding === 'gzip') {
        request.destroy()
        continue
      }
      let bytes = 0
      response.on('data', (chunk: Buffer) => (bytes += chunk.length))
      response.resume()
      await new Promise((resolve) => response.once('close', resolve))
      assert.ok(response.complete && bytes > pieces * text.length, `${bytes} bytes`)
    }
  })

  async function open(path: string, headers: Record<string, string>) {
    const request = httpRequest({
      host: '127.0.0.1',
      port: harness.port,
      path,
      headers: { host: 'localhost:8080', ...IN_FRAME, ...headers },
      agent: false,
    })
    request.on('error', () => undefined)
    request.end()
    const response = await new Promise<IncomingMessage>((resolve) => request.once('response', resolve))
    response.on('error', () => undefined)
    return { request, response }
  }
})

suite('pages on a device’s own origin', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  async function opened(credentials: Record<string, unknown>) {
    const known = addController(harness)
    const looker = await look(harness, known)
    const device = await onlineV2(harness.port, known, {
      ...AGENT,
      credentials: { ...CREDENTIALS, ...credentials },
    })
    device.serve((asked) =>
      answer(asked, '<a href="/x"><img src="http://192.168.1.5:81/y">', 200, ['content-type', 'text/html']),
    )
    return (path: string, destination = 'document') =>
      looker.load(path, {
        headers: {
          'sec-fetch-dest': destination,
          'sec-fetch-mode': destination === 'document' ? 'navigate' : 'cors',
        },
      })
  }

  test('get the shim where the device has other ports, and are left alone where it has none', async () => {
    const withPorts = await opened({})
    const { text } = await withPorts('/')
    assert.equal(text.replace(SHIM, ''), '<a href="/x"><img src="/_wmoc/port/81/y">')
    assert.equal(SHIM.exec(text)![1]!.split('?')[0], '/_wmoc/shim.js')
    assert.equal((await withPorts('/part', 'empty')).text, '<a href="/x"><img src="http://192.168.1.5:81/y">')
    const atPort = (await withPorts('/_wmoc/port/81/')).text.replace(SHIM, '')
    assert.equal(atPort, '<a href="/_wmoc/port/81/x"><img src="/_wmoc/port/81/y">')
    const without = await opened({ page_ports: [] })
    assert.equal((await without('/')).text, '<a href="/x"><img src="http://192.168.1.5:81/y">')
  })
})

/** Compressed to a hundredth, and refers to what was far before. */
function wideWindow(): Uint8Array {
  const { ZSTD_c_windowLog, ZSTD_c_contentSizeFlag } = zlib.constants
  const parts = Array.from({ length: 80 }, () => [randomBytes(1_600), Buffer.alloc(250_000, 'x')])
  return zlib.zstdCompressSync(Buffer.concat(parts.flat()), {
    params: { [ZSTD_c_windowLog]: 27, [ZSTD_c_contentSizeFlag]: 0 },
  })
}
