/** The process: it starts where there is a portal, and leaves without breaking an answer. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

const MAIN = join(import.meta.dirname, 'main.ts')
/** More than the sockets between two processes hold, so that an answer is still under way when the signal comes. */
const LARGE = 16 * 1024 * 1024

function start(folder: string) {
  const child = spawn(process.execPath, [MAIN], {
    env: { ...process.env, PORTAL_DIR: folder, PORT: '0', ADMIN_PORT: '0', LOG_FORMAT: 'json' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  return { child, ended }
}

async function portsOf(child: ReturnType<typeof start>['child']): Promise<{ public: number; admin: number }> {
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = JSON.parse(line) as { message: string; labels: { public: number; admin: number } }
    if (entry.message === 'web is up') return entry.labels
  }
  throw new Error('it never said that it is up')
}

test('SIGTERM: readiness goes, an answer under way reaches its end, the exit code is 0', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-web-'))
  context.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'index.html'), '<title>portal</title>')
  writeFileSync(join(folder, 'large.wasm'), Buffer.alloc(LARGE, 7))
  const { child, ended } = start(folder)
  context.after(() => child.kill('SIGKILL'))
  const ports = await portsOf(child)

  const admin = `http://127.0.0.1:${ports.admin}`
  assert.equal((await fetch(`${admin}/healthz`)).status, 200)
  assert.equal((await fetch(`${admin}/readyz`)).status, 200)
  assert.equal((await fetch(`http://127.0.0.1:${ports.public}/sign-in`)).status, 200)
  assert.match(await (await fetch(`${admin}/metrics`)).text(), /wmoc_web_requests_total\{class="2xx"\} 1/)

  const socket = connect(ports.public, '127.0.0.1')
  socket.write('GET /large.wasm HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'readable')
  child.kill('SIGTERM')
  while ((await fetch(`${admin}/readyz`)).status !== 503) continue
  let received = 0
  for await (const chunk of socket) received += (chunk as Buffer).length
  assert.ok(received > LARGE, `${received} bytes`)
  assert.deepEqual(await ended, [0, null])
  await assert.rejects(fetch(`http://127.0.0.1:${ports.public}/`))
})

test('without a built portal it says what to do', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-web-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const { child, ended } = start(folder)
  let output = ''
  child.stderr.on('data', (chunk) => (output += String(chunk)))
  assert.deepEqual(await ended, [2, null])
  assert.match(output, /has no index\.html: build the portal first/)
})
