import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { SignJWT, generateKeyPair, UnsecuredJWT } from 'jose'
import { openStore } from '@wmoc/platform/open-store'
import { createLogger } from '@wmoc/platform/log'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

suite('the API surface: /c/{id}/* with Bearer', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({
      FIRST_BYTE_TIMEOUT_MS: '1500',
      IDLE_TIMEOUT_MS: '1500',
      QUEUE_PER_TUNNEL: '2',
      QUEUE_TIMEOUT_MS: '1500',
    })
  })
  after(() => harness.stop())

  async function served(
    extra: Record<string, unknown> = {},
    role: 'owner' | 'viewer' | 'operator' = 'owner',
  ) {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId, role)
    const device = await harness.online(known, extra)
    const ask = (given: Omit<Ask, 'path'> & { path?: string } = {}) =>
      harness.api(person, known.record.controllerId, given)
    return { device, ask, known, person, id: known.record.controllerId }
  }

  async function publish(notice: unknown): Promise<void> {
    const store = openStore({
      url: harness.redis.url,
      log: createLogger({ process: 'test', level: 'silent' }),
      name: 'test',
    })
    await store.publish(GATEWAY_CHANNEL, JSON.stringify(notice))
    await store.close()
  }

  const codeOf = (text: string) => (JSON.parse(text) as { code: string }).code

  test('bodies, statuses and headers come byte for byte', async () => {
    const { device, ask } = await served({ max_request_body: 100_000 })
    const bytes = randomBytes(5_000)
    device.serve((request) => {
      if (request.method === 'HEAD') return { headers: { 'Content-Length': '5000', ETag: '"a"' } }
      if (request.path === '/304') return { status: 304, headers: { ETag: '"a"' } }
      if (request.path === '/gzip') {
        return {
          headers: { 'Content-Encoding': 'gzip', 'Content-Type': 'text/css' },
          body: base64(gzipSync('body{}')),
          bodyEncoding: 'base64',
        }
      }
      if (request.path === '/echo')
        return {
          status: 201,
          headers: { 'X-Was': request.method },
          body: request.body,
          bodyEncoding: request.bodyEncoding as 'base64',
        }
      return {
        headers: { 'X-Two': ['a', 'b'], 'Content-Type': 'image/png' },
        body: base64(bytes),
        bodyEncoding: 'base64',
      }
    })
    const plain = await ask()
    assert.deepEqual(plain.body, bytes)
    assert.deepEqual(
      plain.rawHeaders.filter((_, index) => plain.rawHeaders[index - 1] === 'X-Two'),
      ['a', 'b'],
    )
    const head = await ask({ method: 'HEAD' })
    assert.equal(head.headers['content-length'], '5000')
    assert.equal(head.body.length, 0)
    const notModified = await ask({ path: '/304', headers: { 'if-none-match': '"a"' } })
    assert.equal(notModified.status, 304)
    assert.equal(notModified.headers.etag, '"a"')
    const gzip = await ask({ path: '/gzip', headers: { 'accept-encoding': 'gzip' } })
    assert.deepEqual(gzip.body, gzipSync('body{}'))
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const echo = await ask({ path: '/echo', method, body: bytes })
      assert.equal(echo.status, 201)
      assert.deepEqual(echo.body, bytes)
      assert.equal(echo.headers['x-was'], method)
    }
    const text = await ask({ path: '/echo', method: 'POST', body: 'Привет, мир' })
    assert.equal(text.text, 'Привет, мир')
  })

  test('streams chunks as they come', async () => {
    const { device, id, person } = await served()
    const response = fetch(`http://127.0.0.1:${harness.port}/c/${id}/events`, {
      headers: { authorization: `Bearer ${person.accessToken}` },
    })
    const request = await device.next('http_request')
    device.send({
      type: 'http_response',
      id: request.id,
      status: 200,
      headers: { 'Content-Type': 'text/event-stream' },
      body: 'one',
      more: true,
    })
    const reader = (await response).body!.getReader()
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'one')
    device.send({ type: 'http_response_chunk', id: request.id, body: 'two', more: true })
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'two')
    device.send({ type: 'http_response_chunk', id: request.id, more: false })
    assert.equal((await reader.read()).done, true)
  })

  test('T13: a user who leaves is told to the device at once', async () => {
    const { device, id, person } = await served()
    const stop = new AbortController()
    const gone = fetch(`http://127.0.0.1:${harness.port}/c/${id}/slow`, {
      headers: { authorization: `Bearer ${person.accessToken}` },
      signal: stop.signal,
    })
    const request = await device.next('http_request')
    stop.abort()
    await assert.rejects(gone)
    assert.equal((await device.next('http_cancel')).id, request.id)
    device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'late' })
    await until(async () => (await harness.status())['inFlight'] === 0)
  })

  test('T10: a silent device is 504, and one that falls silent in the middle is cut', async () => {
    const { device, ask } = await served()
    const silent = ask()
    await device.next('http_request')
    const answer = await silent
    assert.equal(answer.status, 504)
    assert.equal(codeOf(answer.text), 'device_timeout')
    const stuck = ask()
    const request = await device.next('http_request')
    device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'a', more: true })
    assert.equal((await stuck).isCut, true)
  })

  test('a device never gets more requests than it can hold; the rest waits, and beyond that 503', async () => {
    const { device, ask } = await served({ max_streams: 1 })
    const answers = [ask({ path: '/1' }), ask({ path: '/2' }), ask({ path: '/3' })]
    const first = await device.next('http_request')
    await until(async () => (await harness.status())['queued'] === 2)
    const refused = await ask({ path: '/4' })
    assert.equal(refused.status, 503)
    assert.ok(Number(refused.headers['retry-after']) >= 1)
    assert.equal(codeOf(refused.text), 'overloaded')
    await assert.rejects(device.next('http_request', 100))
    device.serve((request) => ({ body: request.path }))
    device.send({ type: 'http_response', id: first.id, status: 200, headers: {}, body: first.path })
    assert.deepEqual((await Promise.all(answers)).map((answer) => answer.text).toSorted(), ['/1', '/2', '/3'])
  })

  test('T11: a reader that stands still makes the device wait, holds little, and is cut in the end', async () => {
    const { device, id, person } = await served()
    const response = await new Promise<import('node:net').Socket>((resolve) => {
      void import('node:net').then(({ connect }) => {
        const socket = connect(harness.port, '127.0.0.1', () => {
          socket.write(
            `GET /c/${id}/big HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer ${person.accessToken}\r\n\r\n`,
          )
          socket.pause()
          resolve(socket)
        })
      })
    })
    const request = await device.next('http_request')
    device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'x', more: true })
    const chunk = { type: 'http_response_chunk', id: request.id, body: 'x'.repeat(60_000), more: true }
    let sent = 0
    while (device.socket.bufferedAmount < 4_000_000 && sent < 100_000_000) {
      device.send(chunk)
      sent += 60_000
      await new Promise((resolve) => setImmediate(resolve))
    }
    // What the kernel's buffers hold is not the gateway's; what stays here is bounded by the pause.
    assert.ok(device.socket.bufferedAmount >= 4_000_000, `took ${sent} bytes`)
    response.destroy()
    await device.next('http_cancel')
  })

  test('401 without or with a bad token, 404 for what is foreign or unknown, with the same body', async () => {
    const { id } = await served()
    const stranger = await harness.controlPlane.addPerson()
    assert.equal((await harness.ask({ path: `/c/${id}/` })).status, 401)
    const foreign = await harness.api(stranger, id)
    const unknown = await harness.api(stranger, randomUUID())
    assert.equal(foreign.status, 404)
    assert.equal(unknown.status, 404)
    assert.equal(foreign.text, unknown.text)
    assert.deepEqual(Object.keys(foreign.headers), Object.keys(unknown.headers))
  })

  test('U5: tokens of another make are 401: none, other key, algorithm, audience, issuer, kind, age, kid', async () => {
    const { id, person } = await served()
    const other = await generateKeyPair('EdDSA')
    const claims = { sub: person.userId, sid: person.sessionId }
    const now = Math.floor(Date.now() / 1_000)
    const whole = { iss: 'wmoc', aud: 'wmoc', typ: 'access', iat: now, exp: now + 900, ...claims }
    const tokens = [
      new UnsecuredJWT(whole).encode(),
      await new SignJWT(whole).setProtectedHeader({ alg: 'EdDSA', kid: 'k1' }).sign(other.privateKey),
      await new SignJWT(whole)
        .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
        .sign(new TextEncoder().encode('x'.repeat(32))),
      await harness.controlPlane.sign({ ...claims, aud: 'other' }),
      await harness.controlPlane.sign({ ...claims, iss: 'other' }),
      await harness.controlPlane.sign({ ...claims, typ: 'refresh' }),
      await harness.controlPlane.sign({ ...claims, exp: now - 60 }),
      await harness.controlPlane.sign({ ...claims, sub: 'root' }),
      await harness.controlPlane.sign(claims, { kid: '../../etc/passwd' }),
      `${person.accessToken}x`,
      'x'.repeat(5_000),
      '',
    ]
    for (const token of tokens) {
      const answer = await harness.ask({ path: `/c/${id}/`, headers: { authorization: `Bearer ${token}` } })
      assert.equal(answer.status, 401, token.slice(0, 40))
      assert.equal(answer.headers['www-authenticate'], 'Bearer')
    }
  })

  test('a viewer looks and does not touch', async () => {
    const { device, ask } = await served({}, 'viewer')
    device.serve(() => ({ body: 'seen' }))
    assert.equal((await ask()).status, 200)
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await ask({ method })
      assert.equal(answer.status, 403)
      assert.equal(codeOf(answer.text), 'forbidden')
    }
  })

  test('U7: access taken away cuts a live request at once and is 404 from then on', async () => {
    const { device, ask, person, id } = await served()
    const asked = ask()
    const request = await device.next('http_request')
    device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'a', more: true })
    harness.controlPlane.roles.delete(`${person.userId} ${id}`)
    await publish({ type: 'access_changed', userId: person.userId, controllerId: id })
    assert.equal((await asked).isCut, true)
    assert.equal((await device.next('http_cancel')).id, request.id)
    assert.equal((await ask()).status, 404)
  })

  test('U7: a session that ended ends its tokens and its live requests', async () => {
    const { device, ask, person } = await served()
    const asked = ask()
    await device.next('http_request')
    harness.controlPlane.sessions.delete(person.sessionId)
    await publish({ type: 'session_ended', sessionIds: [person.sessionId] })
    assert.equal((await asked).status, 404)
    const answer = await ask()
    assert.equal(answer.status, 401)
    assert.equal(codeOf(answer.text), 'session_ended')
  })

  test('the minute’s requests of the tier are counted, then 429 with Retry-After', async () => {
    const known = harness.controlPlane.addController({ requestsPerMinute: 9 })
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const device = await harness.online(known)
    device.serve(() => ({ body: 'x' }))
    const statuses: number[] = []
    for (let index = 0; index < 5; index += 1)
      statuses.push((await harness.api(person, known.record.controllerId)).status)
    assert.deepEqual(statuses, [200, 200, 200, 429, 429])
    assert.ok(Number((await harness.api(person, known.record.controllerId)).headers['retry-after']) > 0)
  })

  test('offline is 503 with Retry-After and problem+json, never HTML for a program', async () => {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const answer = await harness.api(person, known.record.controllerId, { headers: { accept: 'text/html' } })
    assert.equal(answer.status, 503)
    assert.equal(codeOf(answer.text), 'device_offline')
    assert.equal(answer.headers['retry-after'], '5')
    assert.match(answer.headers['content-type']!, /^application\/problem\+json/)
  })

  test('P10: bodies beyond what the device holds are 413, announced or not, and the device sees nothing', async () => {
    const { device, ask } = await served()
    for (const headers of [{ 'content-length': '10000000000' }, { 'content-length': '8193' }]) {
      const answer = await ask({ method: 'POST', headers })
      assert.equal(answer.status, 413)
      assert.equal(answer.headers.connection, 'close')
    }
    const chunked = await ask({
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: Buffer.alloc(20_000),
    }).catch(() => null)
    assert.ok(chunked === null || chunked.status === 413)
    await assert.rejects(device.next('http_request', 100))
    device.serve((request) => ({ body: String(request.body.length) }))
    assert.equal((await ask({ method: 'POST', body: 'x'.repeat(8_192) })).text, '8192')
  })

  test('O8, P8, P9: the device sees no credential of ours, no hop-by-hop, and no forged origin', async () => {
    const { device, ask, id } = await served({ max_req_header: 4096 })
    const asked = ask({
      headers: {
        cookie: '__Host-wmoc_refresh=secret; other=1',
        connection: 'x-secret, x-forwarded-for, cookie, close',
        'x-secret': 'hop',
        'x-forwarded-for': '6.6.6.6',
        'x-forwarded-proto': 'gopher',
        'x-real-ip': '6.6.6.6',
        forwarded: 'for=6.6.6.6',
        via: '1.1 evil',
        'x-wmoc-user': 'root',
        'proxy-authorization': 'Basic x',
        te: 'trailers',
        'x-own': 'kept',
        accept: 'application/json',
      },
    })
    const request = await device.next('http_request')
    assert.deepEqual(request.headers, {
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'localhost:8080',
      'x-forwarded-prefix': `/c/${id}`,
      accept: 'application/json',
      'x-own': 'kept',
    })
    device.send({ type: 'http_response', id: request.id, status: 200, headers: {} })
    await asked
  })

  test('a small device gets a head that it can hold; what cannot be left out is 431, a long path 414', async () => {
    const { device, ask } = await served()
    const asked = ask({
      headers: {
        accept: 'a'.repeat(200),
        'accept-language': 'b'.repeat(300),
        'x-own': 'c'.repeat(300),
        range: 'bytes=0-1',
      },
    })
    const request = await device.next('http_request')
    const size = Object.entries(request.headers).reduce(
      (sum, [name, value]) => sum + name.length + String(value).length + 4,
      0,
    )
    assert.ok(size <= 512)
    assert.equal(request.headers['range'], 'bytes=0-1')
    assert.equal(request.headers['x-own'], undefined)
    device.send({ type: 'http_response', id: request.id, status: 206, headers: {} })
    assert.equal((await asked).status, 206)
    assert.equal((await ask({ path: `/${'p'.repeat(600)}` })).status, 414)
    assert.equal((await ask({ headers: { 'if-match': `"${'e'.repeat(600)}"` } })).status, 431)
  })

  test('O7, O10, O14, O15: what a device may not say on the portal’s host is dropped or replaced', async () => {
    const { device, ask } = await served()
    device.serve(() => ({
      headers: {
        'Set-Cookie': ['__Host-wmoc_refresh=evil', 'a=1; Domain=localhost'],
        'Strict-Transport-Security': 'max-age=1',
        'Clear-Site-Data': '"*"',
        'Alt-Svc': 'h3=":1"',
        NEL: '{}',
        'Report-To': '{}',
        'Reporting-Endpoints': 'a="b"',
        'Access-Control-Allow-Origin': '*',
        'Access-Control-Allow-Credentials': 'true',
        'Public-Key-Pins': 'x',
        'Origin-Agent-Cluster': '?1',
        'Service-Worker-Allowed': '/',
        'X-Accel-Redirect': '/etc/passwd',
        'Cache-Control': 'public, max-age=60, s-maxage=60',
        'Referrer-Policy': 'unsafe-url',
        'Content-Security-Policy': "default-src 'self'",
      },
      body: '<script>1</script>',
    }))
    const { headers } = await ask()
    const names = Object.keys(headers).toSorted()
    assert.deepEqual(names, [
      'cache-control',
      'connection',
      'content-length',
      'content-security-policy',
      'content-type',
      'cross-origin-resource-policy',
      'date',
      'referrer-policy',
      'server-timing',
      'x-content-type-options',
    ])
    assert.equal(headers['cache-control'], 'private, max-age=60')
    assert.equal(headers['content-security-policy'], "default-src 'self', sandbox")
    assert.equal(headers['content-type'], 'application/octet-stream')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['referrer-policy'], 'no-referrer')
  })

  test('cookies of a device live in a jar per session and device, and come back to that device only', async () => {
    const { device, ask, known } = await served()
    const seen: (string | undefined)[] = []
    device.serve((request) => {
      seen.push(request.headers['cookie'] as string | undefined)
      return { headers: { 'Set-Cookie': ['sid=7; Path=/; HttpOnly', 'wmoc_x=1', 'admin=1; Path=/admin'] } }
    })
    await ask()
    await ask()
    await ask({ path: '/admin/x' })
    const other = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(other, known.record.controllerId, 'operator')
    await harness.api(other, known.record.controllerId)
    assert.deepEqual(seen, [undefined, 'sid=7', 'admin=1; sid=7', undefined])
  })

  test('P13: redirects of a device lead to its public address, to the outside world, or nowhere', async () => {
    const { device, ask, id } = await served({ ip: '192.168.1.50' })
    const cases: [string, string | null][] = [
      ['/login', `/c/${id}/login`],
      ['next', 'next'],
      ['http://192.168.1.50/a?b', `/c/${id}/a?b`],
      ['http://192.168.1.50:81', `/c/${id}/`],
      ['https://example.com/x', 'https://example.com/x'],
      ['http://192.168.1.1/router', null],
      ['//169.254.169.254/', null],
      ['http://localhost/', null],
      ['javascript:alert(1)', null],
    ]
    for (const [location, expected] of cases) {
      device.serve(() => ({ status: 302, headers: { Location: location } }))
      const answer = await ask()
      assert.equal(answer.status, expected === null ? 502 : 302, location)
      if (expected !== null) assert.equal(answer.headers.location, expected)
    }
  })

  test('F4: with the API away, what was allowed goes on; what is not known is 503', async () => {
    const { device, ask } = await served()
    device.serve(() => ({ body: 'fine' }))
    assert.equal((await ask()).status, 200)
    const stranger = await harness.controlPlane.addPerson()
    harness.controlPlane.state.isAway = true
    try {
      assert.equal((await ask()).text, 'fine')
      const unknown = await harness.api(stranger, randomUUID())
      assert.equal(unknown.status, 503)
      assert.ok(Number(unknown.headers['retry-after']) > 0)
    } finally {
      harness.controlPlane.state.isAway = false
    }
  })
})
