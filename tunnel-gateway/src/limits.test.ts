import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createLogger } from '@wmoc/platform/log'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { connectionLimit } from './descriptors.ts'
import { createPressure } from './pressure.ts'
import { startHarness, until } from './testing/harness.ts'
import type { Harness } from './testing/harness.ts'

async function served(harness: Harness, extra: Record<string, unknown> = {}) {
  const known = harness.controlPlane.addController()
  const person = await harness.controlPlane.addPerson()
  harness.controlPlane.grant(person, known.record.controllerId)
  const device = await harness.online(known, extra)
  return { device, person, id: known.record.controllerId, known }
}

suite('limits of the process', () => {
  test('P10: a request that drips in is 408, in the head and in the body', async () => {
    const harness = await startHarness({ REQUEST_TIMEOUT_MS: '400' })
    try {
      const { id, person } = await served(harness)
      const head = `POST /c/${id}/ HTTP/1.1\r\nHost: localhost:8080\r\n`
      const slowHead = await sendRaw(harness.port, head, { timeoutMs: 5_000 })
      assert.deepEqual(slowHead.statuses, [408])
      const slowBody = await sendRaw(
        harness.port,
        `${head}Authorization: Bearer ${person.accessToken}\r\nContent-Length: 100\r\n\r\nabc`,
        { timeoutMs: 5_000 },
      )
      assert.deepEqual(slowBody.statuses, [408])
      assert.equal(slowBody.isClosed, true)
    } finally {
      await harness.stop()
    }
  })

  test('P10: bodies of all users together are bounded; beyond, 503, and what was taken is given back', async () => {
    const harness = await startHarness({ MAX_BODY_BYTES: '10000' })
    try {
      const { id, person, device } = await served(harness)
      const post = (body: string) => harness.api(person, id, { method: 'POST', body })
      const first = post('x'.repeat(6_000))
      const request = await device.next('http_request')
      const refused = await post('x'.repeat(6_000))
      assert.equal(refused.status, 503)
      assert.ok(Number(refused.headers['retry-after']) > 0)
      device.send({ type: 'http_response', id: request.id, status: 200, headers: {} })
      assert.equal((await first).status, 200)
      device.serve(() => ({}))
      await until(async () => (await post('x'.repeat(8_000))).status === 200)
    } finally {
      await harness.stop()
    }
  })

  test('R6: near the end of the heap nothing new is taken on, and what runs goes on', async () => {
    const harness = await startHarness({ SHED_AT_HEAP: '0.1' })
    const ballast: object[] = []
    try {
      const { id, person, device } = await served(harness)
      const asked = harness.api(person, id)
      const request = await device.next('http_request')
      const { heap_size_limit: limit, used_heap_size: used } = (await import('node:v8')).getHeapStatistics()
      for (let bytes = used; bytes < limit * 0.15; bytes += 8_000_000)
        ballast.push(Array.from({ length: 1_000_000 }, (_, index) => index + 0.5))
      await until(async () => (await harness.api(person, id)).status === 503)
      await assert.rejects(harness.connect(), /503/)
      device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'fine' })
      assert.equal((await asked).text, 'fine')
    } finally {
      ballast.length = 0
      await harness.stop()
    }
  })

  test('R5: with nearly all connections taken, devices are sent elsewhere and readiness is off, until there is room', async () => {
    const harness = await startHarness({
      MAX_TUNNELS: '10',
      MAX_UNREGISTERED: '5',
      MAX_USER_CONNECTIONS: '5',
    })
    const admin = `http://127.0.0.1:${harness.gateway.adminPort}`
    const idle = Array.from({ length: 19 }, () => connect({ port: harness.port, host: '127.0.0.1' }))
    try {
      await until(async () => !(await fetch(`${admin}/readyz`)).ok)
      await assert.rejects(harness.connect(), /503/)
      for (const socket of idle) socket.destroy()
      await until(async () => (await fetch(`${admin}/readyz`)).ok)
      const device = await harness.connect()
      assert.equal(device.socket.readyState, device.socket.OPEN)
    } finally {
      for (const socket of idle) socket.destroy()
      await harness.stop()
    }
  })

  test('R5: connections from outside never take the last file descriptors', () => {
    const limits =
      'Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n'
    assert.equal(connectionLimit(34_000, limits), 768)
    assert.equal(connectionLimit(100, limits), 100)
    assert.equal(connectionLimit(34_000, ''), 34_000)
    assert.equal(connectionLimit(34_000, 'Max open files  unlimited  unlimited  files'), 34_000)
  })

  test('R6: shedding ends only once there is room again', () => {
    for (const isHeap of [true, false]) {
      const busy = { used: 0, limit: 100 }
      const idle = { used: 1, limit: 100 }
      const pressure = createPressure(0.85, () => (isHeap ? [busy, idle] : [idle, busy]))
      const seen = [50, 86, 80, 76, 74, 80].map((used) => {
        busy.used = used
        pressure.sample()
        return pressure.isHigh()
      })
      assert.deepEqual(seen, [false, true, true, true, false, false])
    }
  })

  test('R4: metrics, health and status answer on the operators’ port only', async () => {
    const harness = await startHarness()
    try {
      const { person } = await served(harness)
      for (const path of ['/metrics', '/healthz', '/readyz', '/status', '/drain', '/debug', '/json']) {
        const answer = await harness.ask({ path, headers: { authorization: `Bearer ${person.accessToken}` } })
        assert.equal(answer.status, 404, path)
      }
      assert.equal((await harness.status())['tunnels'], 1)
      assert.deepEqual((await harness.status())['invariants'], [])
      const ready = await fetch(`http://127.0.0.1:${harness.gateway.adminPort}/readyz`)
      assert.equal(ready.status, 200)
      harness.controlPlane.state.isAway = true
      assert.equal((await fetch(`http://127.0.0.1:${harness.gateway.adminPort}/readyz`)).status, 200)
    } finally {
      await harness.stop()
    }
  })

  test('R2: what devices and people say reaches no log raw, and no secret does at all', async () => {
    const lines: string[] = []
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    })
    const log = createLogger({ process: 'gateway', level: 'debug', format: 'json', stream })
    const harness = await startHarness({}, log)
    try {
      const evil = '\r\n{"log.level":"error","message":"forged"}\u001b[2J'
      const { device, id, person, known } = await served(harness, {
        boot_id: `b${evil}`,
        firmware_version: evil.slice(0, 50),
        note: evil,
      })
      device.serve(() => ({ status: 5, headers: { [evil]: evil } }))
      await harness.api(person, id, { path: '/%0d%0aforged', headers: { 'x-evil': 'forged' } })
      device.send(evil)
      await device.closed
      const wrong = await harness.connect()
      wrong.send({
        type: 'register',
        credentials: { controller_id: id, secret: `wrong-secret-${'x'.repeat(20)}` },
      })
      await wrong.closed
      assert.ok(lines.length > 3)
      for (const line of lines) {
        assert.ok(Buffer.byteLength(line) <= 8_193)
        JSON.parse(line)
        assert.ok(!line.includes('forged') && !line.includes('\u001b'), line)
        for (const secret of [known.secret, person.accessToken, person.refreshToken, 'wrong-secret'])
          assert.ok(!line.includes(secret))
      }
    } finally {
      await harness.stop()
    }
  })

  test('T9: a compressed body is passed on as it is, whatever it would become', async () => {
    const harness = await startHarness()
    try {
      const { device, id, person } = await served(harness)
      const bomb = gzipSync(Buffer.alloc(20_000_000))
      device.serve(() => ({
        headers: { 'Content-Encoding': 'gzip' },
        body: bomb.toString('base64'),
        bodyEncoding: 'base64',
      }))
      const answer = await harness.api(person, id)
      assert.equal(answer.headers['content-encoding'], 'gzip')
      assert.deepEqual(answer.body, bomb)
      device.serve(() => ({ headers: { 'Content-Encoding': 'gzip' }, body: 'not gzip at all' }))
      assert.equal((await harness.api(person, id)).text, 'not gzip at all')
    } finally {
      await harness.stop()
    }
  })

  test('T12: many requests on one tunnel share it; a long one does not keep a short one waiting for its end', async () => {
    const harness = await startHarness()
    try {
      const { device, id, person } = await served(harness)
      const long = harness.api(person, id, { path: '/long' })
      const first = await device.next('http_request')
      device.send({ type: 'http_response', id: first.id, status: 200, headers: {}, body: 'a', more: true })
      const short = harness.api(person, id, { path: '/short' })
      const second = await device.next('http_request')
      device.send({ type: 'http_response_chunk', id: first.id, body: 'b'.repeat(16_384), more: true })
      device.send({ type: 'http_response', id: second.id, status: 200, headers: {}, body: 'short' })
      assert.equal((await short).text, 'short')
      device.send({ type: 'http_response_chunk', id: first.id, body: 'c', more: false })
      assert.equal((await long).body.length, 16_386)
    } finally {
      await harness.stop()
    }
  })

  test('K10: start-up refuses short and regular secrets, and names every wrong variable at once', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
      env: {
        ...process.env,
        INTERNAL_TOKEN: 'short',
        DEVICE_CREDENTIAL_KEY: 'a'.repeat(40),
        PAGE_COOKIE_KEY: '',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const [code] = (await once(child, 'exit')) as [number]
    assert.equal(code, 1)
    for (const name of [
      'INTERNAL_TOKEN',
      'DEVICE_CREDENTIAL_KEY',
      'PAGE_COOKIE_KEY',
      'REDIS_URL',
      'CONTROL_PLANE_URL',
    ]) {
      assert.ok(text.includes(name), name)
    }
    assert.ok(!text.includes('a'.repeat(40)))
  })
})
