import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { createPortal } from '@wmoc/web/server/portal'
import { routeOf, startIngress } from './ingress.ts'
import type { Ingress } from './ingress.ts'

suite('routes of the ingress', () => {
  const cases: [string, string, string | null][] = [
    ['localhost:8080', '/', 'portal'],
    ['LOCALHOST', '/controllers/1?x=/api/', 'portal'],
    ['127.0.0.1:8080', '/api/meta', 'api'],
    ['[::1]:8080', '/api?x', 'api'],
    ['localhost', '/apiary', 'portal'],
    ['localhost', '/%61pi/meta', 'portal'],
    ['localhost', '/c/1/../../api', 'gateway'],
    ['localhost', '/tunnel?x', 'gateway'],
    ['localhost', '/tunnels', 'portal'],
    ['localhost', '/metrics', 'nowhere'],
    ['localhost', '/internal/jwks', 'nowhere'],
    ['localhost', '/metrics-of-mine', 'portal'],
    ['abc-1.localhost:8080', '/api/meta', 'gateway'],
    ['evil.example', '/', null],
    ['localhost.evil.example', '/', null],
    ['a.b.localhost', '/', null],
    ['user@localhost', '/', null],
    ['localhost', '/open/1/setup', 'portal'],
    ['localhost', '/shared/1', 'portal'],
    ['localhost', '/c/1~a~81/x', 'gateway'],
  ]
  for (const [host, path, route] of cases) {
    test(`sends ${host}${path} to ${route ?? 'nobody'}`, () => assert.equal(routeOf(host, path), route))
  }
})

suite('routes of an ingress with one host name', () => {
  const cases: [string, string, string | null][] = [
    ['box.example', '/', 'portal'],
    ['BOX.example:443', '/c/1~a/', 'gateway'],
    ['box.example', '/open/1/', 'portal'],
    ['localhost:8080', '/tunnel', 'gateway'],
    ['abc-1.localhost:8080', '/', null],
    ['a.box.example', '/', null],
    ['evil.example', '/', null],
  ]
  for (const [host, path, route] of cases)
    test(`sends ${host}${path} to ${route ?? 'nobody'}`, () =>
      assert.equal(routeOf(host, path, 'box.example'), route))
})

suite('the ingress', () => {
  const seen: { url: string; headers: Record<string, unknown>; rawHeaders: string[] }[] = []
  let backend: Server
  let ingress: Ingress
  let folder: string

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wmoc portal '))
    mkdirSync(join(folder, 'assets'))
    writeFileSync(join(folder, 'index.html'), '<html>portal</html>')
    writeFileSync(join(folder, 'assets/a-1.js'), 'run()')
    backend = createServer((request, response) => {
      seen.push({ url: request.url!, headers: request.headers, rawHeaders: request.rawHeaders })
      if (request.url === '/api/cut') {
        response.writeHead(200, { 'content-length': 100 }).write('half')
        setTimeout(() => response.destroy(), 20)
      } else if (request.url === '/api/slow') {
        response.writeHead(200).write('first')
        setTimeout(() => response.end(' last'), 100)
      } else {
        const hash = createHash('sha256')
        request.on('data', (chunk: Buffer) => hash.update(chunk))
        request.on('end', () =>
          response
            .writeHead(207, 'As It Was', [
              ['X-A', '1'],
              ['x-a', '2'],
            ] as never)
            .end(hash.digest('hex')),
        )
      }
    })
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
    backend.on('upgrade', (request, socket, head) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.write(`${String(request.headers['x-forwarded-for'])}:${head.toString()}`)
      socket.pipe(socket)
    })
    ingress = await startIngress({
      port: 0,
      hosts: ['127.0.0.1', '::1'],
      portal: createPortal(folder, { 'x-portal': 'yes' }),
    })
  })
  after(async () => {
    await ingress.stop(100)
    backend.closeAllConnections()
    backend.close()
    rmSync(folder, { recursive: true })
  })

  const raw = (lines: string[], body = '') =>
    sendRaw(ingress.port, `${lines.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`, { timeoutMs: 3_000 })

  test('asks to come back while the platform starts', async () => {
    const answer = await fetch(`http://localhost:${ingress.port}/api/meta`)
    assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1'])
    const target = { host: '127.0.0.1', port: (backend.address() as AddressInfo).port }
    ingress.open({ api: target, gateways: () => [{ ...target, shard: 'gateway-0', adminPort: 1 }] })
  })

  test('R4: what operators and processes ask is not here, not even as a page', async () => {
    for (const path of ['/metrics', '/healthz', '/readyz', '/status', '/internal/jwks', '/debug/pprof']) {
      const answer = await fetch(`http://localhost:${ingress.port}${path}`)
      assert.equal(answer.status, 404, path)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json; charset=utf-8')
    }
  })

  test('passes status, reason, repeated headers and a large body through as they are', async () => {
    const body = Buffer.alloc(3_000_000, 'abcdefg')
    const answer = await fetch(`http://localhost:${ingress.port}/api/x%2Fy?z=%20`, { method: 'POST', body })
    assert.deepEqual(
      [answer.status, answer.statusText, answer.headers.get('x-a')],
      [207, 'As It Was', '1, 2'],
    )
    assert.equal(await answer.text(), createHash('sha256').update(body).digest('hex'))
    assert.equal(seen.at(-1)!.url, '/api/x%2Fy?z=%20')
  })

  test('says itself where a request came from, and drops what it names for this hop', async () => {
    await raw([
      'GET /api/h HTTP/1.1',
      `Host: localhost:${ingress.port}`,
      'X-Forwarded-For: 6.6.6.6',
      'x-forwarded-host: evil',
      'Forwarded: for=6.6.6.6',
      'X-Real-IP: 6.6.6.6',
      'Via: 1.0 evil',
      'X-Once: gone',
      'Keep-Alive: 5',
      'Connection: x-once',
    ])
    const { headers } = seen.at(-1)!
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.equal(headers['x-forwarded-proto'], 'http')
    assert.equal(headers['x-forwarded-host'], `localhost:${ingress.port}`)
    for (const name of ['forwarded', 'x-real-ip', 'via', 'x-once', 'keep-alive'])
      assert.equal(headers[name], undefined)
  })

  test('streams an answer as it comes and never makes half of one whole', async () => {
    const slow = await fetch(`http://localhost:${ingress.port}/api/slow`)
    const reader = slow.body!.getReader()
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'first')
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), ' last')
    const cut = await raw(['GET /api/cut HTTP/1.1', 'Host: localhost'])
    assert.match(cut.text, /content-length: 100/i)
    assert.ok(cut.text.endsWith('half'))
  })

  test('opens a WebSocket to the gateway only', async () => {
    const head = (path: string) => [
      `GET ${path} HTTP/1.1`,
      'Host: localhost',
      'Upgrade: websocket',
      'X-Forwarded-For: 6.6.6.6',
      'Connection: Upgrade',
    ]
    const open = await sendRaw(ingress.port, `${head('/tunnel').join('\r\n')}\r\n\r\nping`, {
      timeoutMs: 300,
    })
    assert.deepEqual(open.statuses, [101])
    assert.match(open.text, /127\.0\.0\.1:(ping)?/)
    assert.ok(open.text.endsWith('ping'))
    for (const path of ['/api/events', '/']) {
      const refused = await sendRaw(ingress.port, `${head(path).join('\r\n')}\r\n\r\n`, { timeoutMs: 1_000 })
      assert.deepEqual(refused.statuses, [404])
      assert.ok(refused.isClosed)
    }
  })

  const hostile: [string, string[], number[]][] = [
    ['a host of somebody else', ['GET / HTTP/1.1', 'Host: evil.example'], [421]],
    ['no host', ['GET / HTTP/1.1'], [400]],
    ['two hosts', ['GET / HTTP/1.1', 'Host: localhost', 'Host: localhost'], [400]],
    ['another version of HTTP', ['GET / HTTP/2.0', 'Host: localhost'], [400]],
    ['an absolute target', ['GET http://localhost/ HTTP/1.1', 'Host: localhost'], [400]],
    ['TRACE', ['TRACE / HTTP/1.1', 'Host: localhost'], [405]],
    ['CONNECT', ['CONNECT localhost:22 HTTP/1.1', 'Host: localhost'], [405]],
    [
      'both kinds of length',
      ['POST /api/x HTTP/1.1', 'Host: localhost', 'Content-Length: 4', 'Transfer-Encoding: chunked'],
      [400],
    ],
    [
      'two lengths',
      ['POST /api/x HTTP/1.1', 'Host: localhost', 'Content-Length: 4', 'Content-Length: 5'],
      [400],
    ],
    ['chunks in HTTP/1.0', ['POST /api/x HTTP/1.0', 'Host: localhost', 'Transfer-Encoding: chunked'], [400]],
    ['a folded header', ['GET / HTTP/1.1', 'Host: localhost', 'X-A: 1', ' folded'], [400]],
    ['a header of 40 KB', ['GET / HTTP/1.1', 'Host: localhost', `X-A: ${'a'.repeat(40_000)}`], [431]],
  ]
  for (const [name, lines, statuses] of hostile) {
    test(`refuses ${name}`, async () => {
      const seenBefore = seen.length
      const answer = await raw(lines)
      assert.deepEqual(answer.statuses, statuses)
      assert.ok(answer.isClosed)
      assert.equal(seen.length, seenBefore, 'nothing reached a process behind')
    })
  }

  test('serves the portal: hashed files for ever, the page never cached, nothing outside', async () => {
    const url = `http://localhost:${ingress.port}`
    const asset = await fetch(`${url}/assets/a-1.js`)
    assert.deepEqual(
      [asset.status, asset.headers.get('cache-control')],
      [200, 'public, max-age=31536000, immutable'],
    )
    const page = await fetch(`${url}/controllers/1`)
    assert.deepEqual([page.status, await page.text()], [200, '<html>portal</html>'])
    assert.deepEqual([page.headers.get('cache-control'), page.headers.get('x-portal')], ['no-cache', 'yes'])
    const etag = page.headers.get('etag')!
    assert.equal((await fetch(`${url}/`, { headers: { 'if-none-match': etag } })).status, 304)
    assert.equal((await fetch(`${url}/assets/none.js`)).status, 404)
    assert.equal((await fetch(`${url}/`, { method: 'POST' })).status, 405)
    const outside = await raw(['GET /../../../../etc/passwd HTTP/1.1', 'Host: localhost'])
    assert.doesNotMatch(outside.text, /root:/)
  })

  test('with one host name passes on what the proxy in front says of the client', async () => {
    const port = (backend.address() as AddressInfo).port
    const behind = await startIngress({
      port: 0,
      hosts: ['127.0.0.1'],
      portal: createPortal(folder, {}),
      oneHost: { name: 'box.example', before: 'proxy' },
    })
    behind.open({ api: { host: '127.0.0.1', port }, gateways: () => [] })
    const lines = [
      'GET /api/x HTTP/1.1',
      'Host: box.example',
      'X-Forwarded-For: 203.0.113.7',
      'Connection: close',
    ]
    await sendRaw(behind.port, `${lines.join('\r\n')}\r\n\r\n`)
    assert.equal(seen.at(-1)!.headers['x-forwarded-for'], '203.0.113.7, 127.0.0.1')
    await behind.stop(100)
  })

  test('answers 502 when a process behind is away', async () => {
    const away = await startIngress({ port: 0, hosts: ['127.0.0.1'], portal: createPortal(folder, {}) })
    const nobody = { host: '127.0.0.1', port: 1 }
    away.open({ api: nobody, gateways: () => [] })
    const answer = await fetch(`http://127.0.0.1:${away.port}/api/meta`)
    const problem = (await answer.json()) as { code: string }
    assert.deepEqual([answer.status, problem.code], [502, 'bad_gateway'])
    await away.stop(100)
  })
})
