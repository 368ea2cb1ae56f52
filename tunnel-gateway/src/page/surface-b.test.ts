import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, suite, test } from 'node:test'
import type { GatewayNotice } from '@wmoc/protocol/control-plane'
import { WebSocket } from 'ws'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Ask, Harness } from '#src/testing/harness.ts'
import { onlineV2 } from '#src/testing/raw-device-v2.ts'
import {
  announceTo,
  askFor,
  IN_FRAME,
  openAsGuest as openByLink,
  openFrame,
  served,
  SHELL,
} from './testing/frames.ts'

const NAVIGATE = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
}

suite('a page in the frame of the portal’s shell', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ DEVICE_DOMAIN: '', TRUSTED_HOPS: '1' })
  })
  after(() => harness.stop())

  const ask = (page: { src: string }, given: Partial<Ask> = {}) =>
    harness.ask({ ...given, path: page.src + (given.path ?? ''), headers: { ...IN_FRAME, ...given.headers } })

  const announce = (notice: GatewayNotice) => announceTo(harness, notice)

  test('is opened by the portal for who signed in, and shows what the device answers', async () => {
    const { device, id, person } = await served(harness)
    const opened = await openFrame(harness, id, person)
    assert.match(opened.src, new RegExp(`^/c/${id}~[A-Za-z0-9_-]{1,100}/$`))
    assert.deepEqual(
      [opened.kind, opened.scope, opened.src],
      ['frame', 'use', `/c/${id}~${opened.capability}/`],
    )
    assert.ok(opened.expiresAt > Date.now() && opened.renewAfterMs === 300_000)
    device.serve(({ path, method }) => ({
      headers: { 'Content-Type': 'text/plain' },
      body: `${method} ${path}`,
    }))
    const answer = await ask(opened, { path: 'a/../b?c=%2F' })
    assert.deepEqual([answer.status, answer.text], [200, 'GET /a/../b?c=%2F'])
    assert.equal((await ask(opened, { method: 'POST', path: 'save' })).text, 'POST /save')
  })

  test('opening it needs a person with access, JSON, and no other site', async () => {
    const { id, person } = await served(harness)
    const stranger = await harness.controlPlane.addPerson()
    const open = (headers: Ask['headers'], body = '{}', method = 'POST') =>
      harness.ask({ path: `/c/${id}/_wmoc/page`, method, headers: { ...SHELL, ...headers }, body })
    const authorization = `Bearer ${person.accessToken}`
    const codeOf = async (answer: ReturnType<typeof open>) => {
      const { status, text, headers } = await answer
      assert.equal(headers['cache-control'], 'no-store')
      return `${status} ${(JSON.parse(text) as { code: string }).code}`
    }
    assert.equal(await codeOf(open({})), '401 unauthenticated')
    assert.equal(await codeOf(open({ authorization: `Bearer ${stranger.accessToken}` })), '404 not_found')
    assert.equal(await codeOf(open({ authorization, origin: 'http://evil.example' })), '403 csrf_rejected')
    assert.equal(await codeOf(open({ authorization, origin: 'null' })), '403 csrf_rejected')
    assert.equal(
      await codeOf(open({ authorization, 'content-type': 'text/plain' })),
      '415 unsupported_media_type',
    )
    assert.equal(await codeOf(open({ authorization }, '{')), '400 malformed')
    assert.equal(await codeOf(open({ authorization }, '{"a":1}')), '400 validation_failed')
    assert.equal(
      await codeOf(open({ authorization }, `{"link":"${'a'.repeat(3_000)}"}`)),
      '413 payload_too_large',
    )
    assert.equal(await codeOf(open({ authorization }, '', 'GET')), '405 method_not_allowed')
    const foreign = await harness.ask({
      path: `/c/${id}/_wmoc/pages`,
      method: 'POST',
      headers: { ...SHELL, authorization },
      body: '{}',
    })
    assert.equal(foreign.status, 404)
  })

  test('a browser that opens the device’s address is led to the shell, with its path', async () => {
    const { id } = await served(harness)
    const answer = await harness.ask({ path: `/c/${id}/a//b?c=d`, headers: NAVIGATE })
    assert.deepEqual(
      [answer.status, answer.headers.location],
      [303, `http://localhost:8080/open/${id}/a//b?c=d`],
    )
    const upgrade = await harness.ask({ path: `/c/${id}/a`, headers: { accept: '*/*' } })
    assert.equal(upgrade.status, 401)
  })

  test('O2, O9: an address with a capability never becomes a document of its own', async () => {
    const { id, person, device } = await served(harness)
    const opened = await openFrame(harness, id, person)
    for (const headers of [NAVIGATE, { accept: 'text/html' }]) {
      const answer = await harness.ask({ path: `${opened.src}x?y`, headers })
      assert.deepEqual([answer.status, answer.headers.location], [303, `/c/${id}/x?y`])
      assert.equal(answer.headers['referrer-policy'], 'no-referrer')
    }
    const posted = await ask(opened, { method: 'POST', headers: { 'sec-fetch-dest': 'document' } })
    assert.equal(posted.status, 303)
    const atPort = await harness.ask({ path: `/c/${id}~${opened.capability}~81/x`, headers: NAVIGATE })
    assert.equal(atPort.headers.location, `/c/${id}/_wmoc/port/81/x`)
    assert.equal(device.received.filter((message) => message.includes('http_request')).length, 0)
  })

  test('O1, O3, O10, O14: the answer is sandboxed, whatever the device says of itself', async () => {
    const { id, person, device } = await served(harness)
    const opened = await openFrame(harness, id, person)
    device.serve(({ path }) => ({
      headers: {
        'Content-Type': { '/': 'text/html; charset=x', '/svg': 'image/svg+xml' }[path],
        'Content-Security-Policy': "default-src 'self'; frame-ancestors 'none', frame-ancestors 'none'",
        'X-Frame-Options': 'DENY',
        'Access-Control-Allow-Origin': 'https://evil.example',
        'Access-Control-Allow-Credentials': 'true',
        'Cross-Origin-Resource-Policy': 'same-origin',
        'Referrer-Policy': 'unsafe-url',
        'Service-Worker-Allowed': '/',
        'Clear-Site-Data': '"*"',
        'Strict-Transport-Security': 'max-age=1',
        'Set-Cookie': 'sid=1',
        'WWW-Authenticate': 'Basic realm="Portal"',
        'X-WMOC-Page': 'own',
      },
      body: '<svg/>',
    }))
    const page = await ask(opened)
    const { headers } = page
    const [own, ours] = String(headers['content-security-policy']).split(', ')
    assert.match(own!, /^default-src 'self'/)
    assert.doesNotMatch(own!, /frame-ancestors/)
    assert.equal(
      ours,
      "sandbox allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-modals allow-downloads; frame-ancestors 'self'",
    )
    assert.equal(headers['access-control-allow-origin'], 'null')
    assert.equal(headers['cross-origin-resource-policy'], 'cross-origin')
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    for (const name of [
      'x-frame-options',
      'access-control-allow-credentials',
      'service-worker-allowed',
      'clear-site-data',
      'strict-transport-security',
      'set-cookie',
      'www-authenticate',
      'x-wmoc-page',
    ])
      assert.equal(headers[name], undefined, name)
    // A frame inside the page has an opaque origin above it, which no policy can name.
    const inner = await ask(opened, { headers: { 'sec-fetch-site': 'cross-site' } })
    assert.match(String(inner.headers['content-security-policy']), /, sandbox allow-scripts [a-z -]+$/)
    for (const path of ['svg', 'untyped']) {
      const policy = String((await ask(opened, { path })).headers['content-security-policy'])
      assert.ok(policy.endsWith("sandbox; frame-ancestors 'self'"), policy)
    }
    assert.equal((await ask(opened, { path: 'untyped' })).headers['content-type'], 'application/octet-stream')
    assert.match(String((await ask(opened)).headers['cache-control']), /^private/)
  })

  test('O3: workers that outlive the page are refused', async () => {
    const { id, person } = await served(harness)
    const opened = await openFrame(harness, id, person)
    for (const destination of ['serviceworker', 'sharedworker'])
      assert.equal(
        (await ask(opened, { path: 'sw.js', headers: { 'sec-fetch-dest': destination } })).status,
        403,
      )
  })

  test('preflights are answered by the gateway, and problems can be read by the page', async () => {
    const { id, person, device } = await served(harness)
    const opened = await openFrame(harness, id, person)
    const answer = await ask(opened, {
      method: 'OPTIONS',
      headers: {
        origin: 'null',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'content-type,x-a',
      },
    })
    assert.deepEqual([answer.status, answer.text], [204, ''])
    assert.equal(answer.headers['access-control-allow-origin'], 'null')
    assert.equal(answer.headers['access-control-allow-headers'], 'content-type, x-a')
    assert.match(String(answer.headers['access-control-allow-methods']), /PUT/)
    assert.equal(answer.headers['access-control-allow-credentials'], undefined)
    device.stop()
    await device.closed
    const away = await ask(opened, {
      headers: {
        ...IN_FRAME,
        origin: 'null',
        accept: '*/*',
        'sec-fetch-mode': 'cors',
        'sec-fetch-dest': 'empty',
      },
    })
    assert.deepEqual([away.status, away.headers['access-control-allow-origin']], [503, 'null'])
  })

  test('O7, O8: the device’s cookies live in a jar, and no cookie or token of the portal reaches it', async () => {
    const { id, person, device } = await served(harness)
    const opened = await openFrame(harness, id, person)
    device.serve(({ headers }) => ({
      headers: { 'Set-Cookie': ['sid=1; Path=/; HttpOnly', '__Host-wmoc_refresh=evil; Path=/'] },
      body: JSON.stringify(headers),
    }))
    const cookie = `__Host-wmoc_refresh=${person.refreshToken}`
    const first = await ask(opened, { headers: { cookie } })
    assert.equal(first.headers['set-cookie'], undefined)
    assert.ok(!first.text.includes(person.refreshToken))
    assert.equal((JSON.parse(first.text) as Record<string, string>)['cookie'], undefined)
    const seen = JSON.parse((await ask(opened, { headers: { cookie } })).text) as Record<string, string>
    assert.equal(seen['cookie'], 'sid=1')
    assert.equal(seen['x-forwarded-prefix'], `/c/${id}`)
    assert.ok(!JSON.stringify(seen).includes(opened.capability))
    const anew = await openFrame(harness, id, person)
    assert.match((await ask(anew)).text, /"cookie":"sid=1"/)
  })

  test('O4: a capability opens its own device and no other, in one spelling only', async () => {
    const first = await served(harness)
    const second = await served(harness)
    harness.controlPlane.grant(first.person, second.id)
    const { capability } = await openFrame(harness, first.id, first.person)
    const at = async (id: string, text: string) =>
      (await harness.ask({ path: `/c/${id}~${text}/`, headers: IN_FRAME })).status
    first.device.serve(() => ({}))
    assert.equal(await at(first.id, capability), 200)
    assert.equal(await at(second.id, capability), 401)
    for (let index = 0; index < capability.length; index += 7) {
      const other = capability[index] === 'A' ? 'B' : 'A'
      assert.equal(await at(first.id, capability.slice(0, index) + other + capability.slice(index + 1)), 401)
    }
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const last of alphabet) {
      const text = capability.slice(0, -1) + last
      if (text !== capability) assert.equal(await at(first.id, text), 401, text)
    }
    assert.equal(await at(first.id, `${capability}A`), 401)
    assert.equal(await at(first.id, capability.slice(1)), 401)
  })

  test('O5: what comes from another site’s page is refused, capability or not', async () => {
    const { id, person, device } = await served(harness)
    const opened = await openFrame(harness, id, person)
    device.serve(() => ({}))
    const origins: [string, number][] = [
      ['null', 200],
      ['http://localhost:8080', 200],
      ['http://evil.example', 403],
      ['http://localhost:8081', 403],
    ]
    for (const [origin, status] of origins)
      assert.equal((await ask(opened, { method: 'POST', headers: { origin } })).status, status, origin)
  })

  test('a viewer looks and changes nothing', async () => {
    const { id, person, device } = await served(harness, 'viewer')
    const opened = await openFrame(harness, id, person)
    assert.equal(opened.scope, 'view')
    device.serve(() => ({ body: 'seen' }))
    assert.equal((await ask(opened)).text, 'seen')
    assert.equal((await ask(opened, { method: 'POST' })).status, 403)
  })

  test('O11: a WebSocket is the page’s or the shell’s; nobody else’s, and no viewer’s', async () => {
    const { known, id, person } = await served(harness)
    const agent = await onlineV2(harness.port, known, { rx_window: 65_536, rx_budget: 1_048_576 })
    agent.serve((asked) => asked.stream.respond({ status: 101, headers: [] }, false))
    const { src } = await openFrame(harness, id, person)
    assert.equal(await dial(src, { origin: 'null' }), 101)
    assert.equal(await dial(src, { origin: 'http://localhost:8080' }), 101)
    assert.equal(await dial(src, { origin: 'http://evil.example' }), 403)
    assert.equal(await dial(src, {}), 403)
    assert.equal(await dial(src.replace(/.\/$/, '/'), { origin: 'null' }), 401)
    harness.controlPlane.grant(person, id, 'viewer')
    await announce({ type: 'access_changed', userId: person.userId, controllerId: id })
    const viewed = await openFrame(harness, id, person)
    await until(async () => (await dial(viewed.src, { origin: 'null' })) === 403)
    agent.stop()
  })

  /** The status that a handshake was answered with. */
  function dial(src: string, headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${harness.port}${src}ws`, {
        headers: { host: 'localhost:8080', ...headers },
      })
      const end = (status: number) => {
        socket.terminate()
        resolve(status)
      }
      socket.on('open', () => end(101))
      socket.on('unexpected-response', (_request, response) => end(response.statusCode!))
      socket.on('error', reject)
    })
  }

  test('a person opens so many pages a minute and no more: the store keeps note of each', async () => {
    const { id, person } = await served(harness)
    const other = await served(harness)
    const open = () =>
      harness.ask({
        path: `/c/${id}/_wmoc/page`,
        method: 'POST',
        headers: { ...SHELL, authorization: `Bearer ${person.accessToken}` },
        body: '{}',
      })
    const answers = await Promise.all(Array.from({ length: 150 }, open))
    const refused = answers.find(({ status }) => status === 429)
    assert.ok(Number(refused?.headers['retry-after']) > 0)
    other.device.serve(() => ({ body: 'fine' }))
    assert.equal((await ask(await openFrame(harness, other.id, other.person))).status, 200)
  })

  const openAsGuest = (id: string, link: string, address?: string) => openByLink(harness, id, link, address)

  suite('for a guest', () => {
    test('a link opens its device, as far as its scope goes', async () => {
      for (const scope of ['view', 'use'] as const) {
        const { known, id, device } = await served(harness)
        const { token } = harness.controlPlane.addLink(known, scope)
        const opened = JSON.parse((await openAsGuest(id, token)).text) as { src: string; scope: string }
        assert.equal(opened.scope, scope)
        device.serve(({ method }) => ({ body: method }))
        assert.equal((await ask(opened)).text, 'GET')
        assert.equal((await ask(opened, { method: 'POST' })).status, scope === 'use' ? 200 : 403)
      }
    })

    test('a wrong link is 404, and guessing is slowed down', async () => {
      const { known, id } = await served(harness)
      const other = await served(harness)
      const { token } = harness.controlPlane.addLink(known)
      assert.equal((await openAsGuest(other.id, token)).status, 404)
      const guess = (address: string) => openAsGuest(id, 'wrong', address)
      const statuses: number[] = []
      while (!statuses.includes(429) && statuses.length < 50) statuses.push((await guess('192.0.2.1')).status)
      assert.ok(statuses.slice(0, -1).every((status) => status === 404) && statuses.at(-1) === 429)
      assert.equal((await guess('192.0.2.2')).status, 404)
    })
  })
})

suite('a page in a frame without the shared store', () => {
  test('F2: goes on as it was opened; what must be remembered is 503', async () => {
    const harness = await startHarness({ DEVICE_DOMAIN: '' })
    const { id, person, device } = await served(harness)
    device.serve(() => ({ body: 'fine' }))
    const { src, capability } = await openFrame(harness, id, person)
    await harness.redis.stop()
    for (let round = 0; round < 3; round++)
      assert.equal((await harness.ask({ path: src, headers: IN_FRAME })).text, 'fine')
    assert.equal((await askFor(harness, 'renew', { id, person, capability })).status, 503)
    assert.equal((await askFor(harness, 'revoke', { id, person, capability })).status, 503)
    assert.equal((await harness.ask({ path: src, headers: IN_FRAME })).status, 401)
    await harness.stop()
  })
})

suite('a person who leaves while it is found out who that is', () => {
  test('P10: leaves nothing behind that others have to wait for', async () => {
    const harness = await startHarness({ DEVICE_DOMAIN: '', MAX_REQUESTS_PER_CONTROLLER: '1' })
    const { id, person, device } = await served(harness)
    device.serve(() => ({ body: 'fine' }))
    const opened = await openFrame(harness, id, person)
    const head = 'HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: null\r\nContent-Length: 5\r\n\r\n'
    for (let round = 0; round < 20; round++) {
      const socket = connect(harness.port, '127.0.0.1')
      await new Promise((sent) => socket.write(`POST ${opened.src} ${head}`, sent))
      socket.destroy()
    }
    await until(async () => (await harness.ask({ path: opened.src, headers: IN_FRAME })).text === 'fine')
    await harness.stop()
  })
})
