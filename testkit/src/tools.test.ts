import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openBrowser } from './chromium.ts'
import { sendRaw } from './http-raw.ts'
import { startNginx } from './nginx.ts'
import { isAlive, run } from './process.ts'

test('reports the output and the end of a process, and kills what does not stop', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc process '))
  t.after(() => rmSync(folder, { recursive: true }))
  const script = join(folder, 'stubborn.ts')
  writeFileSync(
    script,
    "process.on('SIGTERM', () => console.log('no'))\nsetInterval(() => {}, 1000)\nconsole.log('up')",
  )
  const child = run(script)
  assert.equal(await child.waitFor(/up/), 'up')
  assert.deepEqual(await child.stop(300), { code: null, signal: 'SIGKILL' })
  assert.deepEqual(child.lines, ['up', 'no'])
  assert.equal(isAlive(child.pid), false)
  await assert.rejects(child.waitFor(/never/), /the process ended/)
})

test('leaves no Redis and no PostgreSQL behind when the test process is killed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-orphans-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const script = join(folder, 'dies.ts')
  writeFileSync(
    script,
    `import { testRedis } from '${import.meta.dirname}/redis.ts'
import { startPostgres } from '${import.meta.dirname}/postgres.ts'
const [redis, postgres] = await Promise.all([testRedis(), startPostgres()])
console.log('ports', redis.port, new URL(postgres.url).port)
setInterval(() => {}, 1000)`,
  )
  const child = run(script)
  const ports = (await child.waitFor(/^ports/)).split(' ').slice(1).map(Number)
  child.kill('SIGKILL')
  await child.ended
  for (const port of ports) {
    const deadline = Date.now() + 5_000
    while (!(await isPortFree(port))) assert.ok(Date.now() < deadline, `port ${port} is still served`)
  }
})

async function isPortFree(port: number): Promise<boolean> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return true
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return false
  } finally {
    server.close()
  }
}

test('sends bytes that no HTTP client would and reads every answer', async (t) => {
  const server = createServer((_request, response) => response.end('ok'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const twice = 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  assert.deepEqual((await sendRaw(port, twice)).statuses, [200, 200])
  assert.deepEqual((await sendRaw(port, ['GET / HT', 'TP/1.1\r\n\r\n'], { pauseMs: 20 })).statuses, [400])
})

test('opens pages in Chromium and collects what they complain about', async (t) => {
  const server = createServer((_request, response) =>
    response
      .writeHead(200, { 'content-type': 'text/html', 'content-security-policy': "script-src 'self'" })
      .end('<link rel="icon" href="data:,"><title>Here</title><script>inline()</script>'),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const browser = await openBrowser()
  t.after(() => browser.close())
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`http://device.localhost:${(server.address() as AddressInfo).port}/`)
  assert.equal(await page.title(), 'Here')
  assert.ok(context.problems.some((line) => line.startsWith('csp: script-src')))
})

test('serves an ordinary site by nginx: pages, gzip, ranges, cookies', async (t) => {
  const nginx = await startNginx({ downloadBytes: 3_000_000 })
  t.after(() => nginx.stop())
  assert.match(await (await fetch(`${nginx.url}/`)).text(), /Pump house/)
  const style = await fetch(`${nginx.url}/style.css`)
  assert.equal(style.headers.get('content-encoding'), 'gzip')
  const range = await fetch(`${nginx.url}/download.bin`, { headers: { range: 'bytes=10-19' } })
  assert.equal(range.status, 206)
  assert.equal((await range.arrayBuffer()).byteLength, 10)
  const signIn = await fetch(`${nginx.url}/app/sign-in`, {
    method: 'POST',
    body: 'name=Ann',
    redirect: 'manual',
  })
  assert.equal(signIn.status, 303)
  assert.equal(signIn.headers.getSetCookie().length, 2)
})
