import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { freePort } from '@wmoc/testkit/free-port'
import { isAlive, run } from '@wmoc/testkit/process'
import type { TestProcess } from '@wmoc/testkit/process'
import { ROOT } from './root.ts'

const READY = / s {2}ready$/

function stateFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc start '))
  // Without setpriv PostgreSQL runs as another user, who must be able to reach it.
  chmodSync(folder, 0o755)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'state of it')
}

function start(folder: string, args: string[], env: Record<string, string> = {}): TestProcess {
  return run(join(ROOT, 'scripts/start.ts'), {
    args,
    env: { DATABASE_URL: '', REDIS_URL: '', WMOC_STATE_DIR: folder, ...env },
  })
}

/** Every process below `pid`: as /proc tells. */
function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // gone meanwhile
    }
  }
  const found = new Set([pid])
  for (let size = 0; size !== found.size;) {
    size = found.size
    for (const [child, parent] of parents) if (found.has(parent)) found.add(child)
  }
  found.delete(pid)
  return [...found]
}

suite('npm start', { concurrency: false }, () => {
  test('serves portal and API from one port, keeps its data, and ends every process on Ctrl-C', async (t) => {
    const folder = stateFolder(t)
    const port = await freePort()
    const first = start(folder, ['--port', String(port)])
    await first.waitFor(READY, 120_000)
    const children = descendants(first.pid)
    assert.ok(children.length >= 7, 'PostgreSQL, Redis, gateway, API, worker and two simulators')
    const link = await first.waitFor(/sign-in#link=/)
    await first.waitFor(/claimed by its code [A-Z]{4}-[A-Z]{4}/)

    const page = await fetch(`http://localhost:${port}/`)
    assert.equal(page.status, 200)
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    assert.match(await page.text(), /<html/)
    const meta = (await (await fetch(`http://localhost:${port}/api/meta`)).json()) as Record<string, unknown>
    assert.equal(meta['deviceDomain'], `localhost:${port}`)
    const token = /link=(\S+)/.exec(link)![1]
    const signIn = await fetch(`http://localhost:${port}/api/auth/login/link`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
    assert.equal(signIn.status, 200)
    assert.equal(statSync(join(folder, 'secrets.json')).mode & 0o777, 0o600)

    first.kill('SIGINT')
    assert.deepEqual(await first.ended, { code: 0, signal: null })
    assert.deepEqual(children.filter(isAlive), [])

    const second = start(folder, ['--port', String(port)])
    await second.waitFor(/PostgreSQL: embedded, as it was/)
    await second.waitFor(READY, 120_000)
    const grandchildren = descendants(second.pid)
    second.kill('SIGINT')
    second.kill('SIGTERM')
    await second.ended
    const deadline = Date.now() + 10_000
    while (grandchildren.some(isAlive)) {
      assert.ok(Date.now() < deadline, `still there: ${grandchildren.filter(isAlive).join(' ')}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })

  test('ends with the last lines of a service that died, and stops the others', async (t) => {
    const child = start(stateFolder(t), ['--port', '0', '--no-sims'])
    await child.waitFor(READY, 120_000)
    const children = descendants(child.pid)
    const gateway = children.find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('tunnel-gateway/src/main.ts'),
    )
    process.kill(gateway!, 'SIGKILL')
    await child.waitFor(/gateway-0 has ended \(SIGKILL\); its last lines:/)
    assert.equal((await child.ended).code, 1)
    assert.deepEqual(children.filter(isAlive), [])
  })

  test('goes on with --shards when a gateway is killed: the others take over, and it is started again', async (t) => {
    const child = start(stateFolder(t), ['--port', '0', '--shards', '3'])
    await child.waitFor(/controllers: gateway-0 \d+, gateway-1 [1-9]\d*, gateway-2 \d+/, 120_000)
    const children = descendants(child.pid)
    const hint = await child.waitFor(/gateway-1 {3}kill -9 \d+/)
    const pid = Number(/\d+$/.exec(hint)![0])
    assert.ok(children.includes(pid))
    process.kill(pid, 'SIGKILL')
    const gone = await child.waitFor(/gateway-1 has gone .*: its \d+ controllers are coming back elsewhere/)
    const count = /its (\d+)/.exec(gone)![1]
    await child.waitFor(new RegExp(`${count} of ${count} are back elsewhere after`), 60_000)
    await child.waitFor(/gateway-1 is back \(pid \d+\)/)
    children.push(...descendants(child.pid))
    child.kill('SIGINT')
    assert.deepEqual(await child.ended, { code: 0, signal: null })
    assert.deepEqual(children.filter(isAlive), [])
  })

  test('says who has the port, and what to do', async (t) => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const child = start(stateFolder(t), ['--port', String(port)])
    assert.equal((await child.ended).code, 1)
    const text = child.lines.join('\n')
    assert.match(text, new RegExp(`port ${port} is in use by .* \\(pid ${process.pid}\\)`))
    assert.match(text, new RegExp(`npm start -- --port ${port + 1}`))
  })

  test('takes the embedded store where there is no Redis, and says so', async (t) => {
    // A path with this Node and setpriv's folder only would still hold redis-server on Debian: an empty one has neither.
    const child = start(stateFolder(t), ['--port', '0', '--no-sims'], {
      PATH: join(ROOT, 'node_modules/.bin'),
    })
    await child.waitFor(/embedded store \(no redis-server on the path\)/)
    await child.waitFor(READY, 120_000)
    child.kill('SIGTERM')
    assert.equal((await child.ended).code, 0)
  })

  test('forgets everything with --reset, takes one host name for all, and prints its help and its mistakes', async (t) => {
    const folder = stateFolder(t)
    const interrupted = start(folder, ['--port', '0', '--no-sims', '--reset'])
    await interrupted.waitFor(/PostgreSQL: embedded, new/)
    interrupted.kill('SIGKILL')
    await interrupted.ended
    const again = start(folder, ['--port', '0', '--no-sims', '--reset', '--host', 'box.example'])
    await again.waitFor(/PostgreSQL: embedded, new/)
    await again.waitFor(READY, 120_000)
    await again.waitFor(/Your proxy ends TLS for https:\/\/box\.example /)
    await again.stop()
    const help = start(folder, ['--help'])
    assert.equal((await help.ended).code, 0)
    assert.match(help.lines.join('\n'), /--reset/)
    const wrong = start(folder, ['--port', 'x'])
    assert.equal((await wrong.ended).code, 2)
  })
})
