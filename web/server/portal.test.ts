/** What the portal's server answers, byte by byte. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { compressFolder } from './compress.ts'
import { createPortal, PORTAL_HEADERS } from './portal.ts'

const SCRIPT = 'export const text = "controllers";\n'.repeat(200)
const PAGE = '<!doctype html><title>portal</title>'

suite('the portal', () => {
  let folder: string
  let server: Server

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wmoc-portal-'))
    for (const name of ['assets', '.vite']) mkdirSync(join(folder, name))
    writeFileSync(join(folder, 'index.html'), PAGE)
    writeFileSync(join(folder, 'assets/a-1.js'), SCRIPT)
    writeFileSync(join(folder, 'icon.png'), Buffer.alloc(2_000, 1))
    writeFileSync(join(folder, '.vite/manifest.json'), '{}')
    assert.equal(compressFolder(folder), 1, 'the page is too small to gain, a picture is compressed already')
    server = createServer(createPortal(folder, PORTAL_HEADERS)).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })

  /** One request by hand; the head's lines, lower case, and the body's bytes. */
  async function ask(line: string, ...headers: string[]) {
    const head = [`${line} HTTP/1.1`, 'Host: portal.example', 'Connection: close', ...headers]
    const { bytes, statuses } = await sendRaw(
      (server.address() as AddressInfo).port,
      `${head.join('\r\n')}\r\n\r\n`,
      { timeoutMs: 10_000 },
    )
    const cut = bytes.indexOf('\r\n\r\n')
    const lines = bytes.toString('latin1', 0, cut).toLowerCase().split('\r\n').slice(1)
    const header = (name: string) =>
      lines.find((text) => text.startsWith(`${name}: `))?.slice(name.length + 2) ?? null
    return { status: statuses[0], header, body: bytes.subarray(cut + 4) }
  }

  test('carries the security headers on every answer, also on refusals', async () => {
    for (const line of ['GET /', 'GET /assets/a-1.js', 'GET /assets/none.js', 'POST /']) {
      const { header } = await ask(line)
      for (const [name, value] of Object.entries(PORTAL_HEADERS))
        assert.equal(header(name), value.toLowerCase(), `${name} of ${line}`)
    }
  })

  test('O2: a frame gets no page of the portal, only word to the shell of where it wanted to go', async () => {
    for (const path of ['/', '/sign-in?next=/', '/assets/a-1.js']) {
      const { status, header, body } = await ask(`GET ${path}`, 'Sec-Fetch-Dest: iframe')
      assert.equal(status, 200)
      assert.match(
        header('content-security-policy')!,
        /^default-src 'none'; script-src 'sha256-[^ ]+'; .*; sandbox allow-scripts$/,
      )
      assert.match(body.toString(), /wmoc:'strayed'/)
    }
    assert.equal((await ask('GET /', 'Sec-Fetch-Dest: document')).body.toString(), PAGE)
  })

  test('the way to a device’s page is the portal, whatever the device calls its files', async () => {
    for (const path of ['/open/x/index.html', '/open/x/a.css?b=c.js', '/shared/x'])
      assert.equal((await ask(`GET ${path}`, 'Sec-Fetch-Dest: document')).body.toString(), PAGE)
  })

  test('hashed files are kept for ever, the page is asked for each time', async () => {
    assert.equal(
      (await ask('GET /assets/a-1.js')).header('cache-control'),
      'public, max-age=31536000, immutable',
    )
    assert.equal((await ask('GET /')).header('cache-control'), 'no-cache')
  })

  const codings: [accept: string, coding: string | null, decode: (bytes: Buffer) => Buffer][] = [
    ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
    ['BR;q=0.1', 'br', brotliDecompressSync],
    ['gzip', 'gzip', gunzipSync],
    ['br;q=0, gzip;q=1.0', 'gzip', gunzipSync],
    ['br; q=0.000, gzip;q=0', null, (bytes) => bytes],
    ['identity, *', null, (bytes) => bytes],
    ['brotli, xgzip', null, (bytes) => bytes],
  ]
  for (const [accept, coding, decode] of codings) {
    test(`answers "Accept-Encoding: ${accept}" with ${coding ?? 'the plain file'}`, async () => {
      const answer = await ask('GET /assets/a-1.js', `Accept-Encoding: ${accept}`)
      assert.equal(answer.header('content-encoding'), coding)
      assert.equal(answer.header('content-length'), String(answer.body.length))
      assert.equal(answer.header('content-type'), 'text/javascript; charset=utf-8')
      assert.equal(answer.header('vary'), 'accept-encoding')
      assert.equal(decode(answer.body).toString(), SCRIPT)
    })
  }

  test('each form has a tag of its own, and a cache that knows it gets no body', async () => {
    const tags = new Set<string>()
    for (const accept of ['br', 'gzip', 'identity']) {
      const line = ['GET /assets/a-1.js', `Accept-Encoding: ${accept}`] as const
      // Lower case would spoil the tag.
      const { text } = await sendRaw(
        (server.address() as AddressInfo).port,
        `${line[0]} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${line[1]}\r\n\r\n`,
        { timeoutMs: 10_000 },
      )
      const etag = /etag: ("[^"]+")/i.exec(text)![1]!
      tags.add(etag)
      for (const known of [etag, `"other", W/${etag}`, '*']) {
        const answer = await ask(...line, `If-None-Match: ${known}`)
        assert.deepEqual([answer.status, answer.body.length], [304, 0], known)
      }
      assert.equal((await ask(...line, 'If-None-Match: "other"')).status, 200)
    }
    assert.equal(tags.size, 3)
  })

  test('HEAD tells what GET would, without the body; a range gets the whole', async () => {
    const head = await ask('HEAD /assets/a-1.js')
    assert.deepEqual(
      [head.status, head.header('content-length'), head.body.length],
      [200, String(SCRIPT.length), 0],
    )
    const range = await ask('GET /assets/a-1.js', 'Range: bytes=0-9')
    assert.deepEqual([range.status, range.body.length], [200, SCRIPT.length])
  })

  for (const path of [
    '/',
    '/controllers/1?x=/api/',
    '/sign-in/',
    '/cats',
    '/%2e%2e/etc/passwd',
    '/../../etc/passwd',
  ]) {
    test(`${path} is the page`, async () => {
      const answer = await ask(`GET ${path}`)
      assert.deepEqual([answer.status, answer.body.toString()], [200, PAGE])
    })
  }

  const nothing = [
    '/assets/none.js',
    '/assets/../index',
    '/assets/a-1.js.br',
    '/.vite/manifest.json',
    '/../server/main.ts',
    '/..%2fheaders.json',
    '/api/meta',
    '/c/1/',
    '/tunnel',
    '/metrics',
    '/healthz',
    'http://evil.example/',
  ]
  for (const path of nothing) {
    test(`${path} is not here, not even as the page`, async () => {
      const answer = await ask(`GET ${path}`)
      assert.equal(answer.status, 404)
      assert.equal(answer.header('content-type'), 'application/problem+json; charset=utf-8')
    })
  }

  test('other methods are refused by name', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask(`${method} /`, 'Content-Length: 0')
      assert.deepEqual([answer.status, answer.header('allow')], [405, 'get, head'])
    }
  })
})
