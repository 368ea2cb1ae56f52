/** `curl` with Bearer through `/c/{id}/…`: what comes out is what the device's own server said. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'

const BINARY = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff))
const GZIPPED = gzipSync('a page that was compressed by the device '.repeat(200))
const ETAG = `"${createHash('sha256').update(BINARY).digest('hex').slice(0, 16)}"`

type Answer = { status: number; headers?: Record<string, string | number>; body?: string | Buffer }

const ANSWERS: Readonly<Record<string, Answer>> = {
  '/gzip': {
    status: 200,
    headers: { 'content-type': 'text/html', 'content-encoding': 'gzip' },
    body: GZIPPED,
  },
  '/moved': { status: 302, headers: { location: '/binary' } },
  '/elsewhere': { status: 307, headers: { location: 'http://example.org/x' } },
  '/empty': { status: 204 },
  '/teapot': { status: 418, headers: { 'content-type': 'text/plain' }, body: 'short and stout' },
  '/binary': {
    status: 200,
    headers: { 'content-type': 'application/x-firmware', etag: ETAG, 'content-length': BINARY.length },
    body: BINARY,
  },
}

function answerTo(method: string, path: string, ifNoneMatch: string | undefined, body: Buffer): Answer {
  if (path === '/binary' && ifNoneMatch === ETAG) return { status: 304, headers: { etag: ETAG } }
  if (path.startsWith('/echo')) {
    const asked = JSON.stringify({ method, path, body: body.toString('base64') })
    return { status: 200, headers: { 'content-type': 'application/json', 'x-device': 'one' }, body: asked }
  }
  return (
    ANSWERS[path] ?? {
      status: 404,
      headers: { 'content-type': 'text/plain' },
      body: 'the device has no such page',
    }
  )
}

/** A device's server that answers each path in one exact way, and echoes what it was asked. */
const device = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { method, url, headers } = request
    const answer = answerTo(method!, url!, headers['if-none-match'], Buffer.concat(chunks))
    response.writeHead(answer.status, answer.headers).end(method === 'HEAD' ? undefined : answer.body)
  })
})

suite('requests with Bearer through /c/{id}/', () => {
  let platform: TestStack
  let owner: Person
  let page: string

  before(async () => {
    device.listen(0, '127.0.0.1')
    await once(device, 'listening')
    const upstream = `http://127.0.0.1:${(device.address() as AddressInfo).port}`
    platform = await openStack()
    owner = await platform.signIn('owner@wmoc.example')
    const { id } = await platform.claimSim(owner, { state: 'device', args: ['--upstream', upstream] })
    page = `/c/${id}`
  })
  after(async () => {
    await platform?.stop()
    device.closeAllConnections()
    device.close()
  })

  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    test(`brings ${method} with its path, query and body to the device as they were`, async () => {
      const body = method === 'GET' ? undefined : BINARY.subarray(0, 3_000)
      const path = '/echo/a%2Fb/%7Ec;v=1/d?x=%20y&x=%00&e='
      const answer = await owner.fetch(`${page}${path}`, { method, body })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('x-device'), 'one')
      assert.deepEqual(await answer.json(), { method, path, body: body ? body.toString('base64') : '' })
    })
  }

  test('gives a binary body byte for byte, with type, length and ETag', async () => {
    const answer = await owner.fetch(`${page}/binary`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'application/x-firmware')
    assert.equal(answer.headers.get('etag'), ETAG)
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), BINARY)
  })

  test('answers HEAD with the head of GET and no body', async () => {
    const answer = await owner.fetch(`${page}/binary`, { method: 'HEAD' })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('etag'), ETAG)
    assert.equal((await answer.bytes()).length, 0)
  })

  test('answers 304 where the ETag still fits', async () => {
    const answer = await owner.fetch(`${page}/binary`, { headers: { 'if-none-match': ETAG } })
    assert.equal(answer.status, 304)
    assert.equal(answer.headers.get('etag'), ETAG)
    assert.equal((await answer.bytes()).length, 0)
  })

  test("gives the device's own 404, 418 and 204 as they are", async () => {
    const missing = await owner.fetch(`${page}/nowhere`)
    assert.deepEqual([missing.status, await missing.text()], [404, 'the device has no such page'])
    const teapot = await owner.fetch(`${page}/teapot`)
    assert.deepEqual([teapot.status, await teapot.text()], [418, 'short and stout'])
    const empty = await owner.fetch(`${page}/empty`)
    assert.deepEqual([empty.status, await empty.text()], [204, ''])
  })

  test('keeps redirects inside the controller, and leaves foreign ones alone', async () => {
    const inside = await owner.fetch(`${page}/moved`)
    assert.deepEqual([inside.status, inside.headers.get('location')], [302, `${page}/binary`])
    const outside = await owner.fetch(`${page}/elsewhere`)
    assert.deepEqual([outside.status, outside.headers.get('location')], [307, 'http://example.org/x'])
  })

  test('passes a compressed body on as it is', async () => {
    const head = [
      `GET ${page}/gzip HTTP/1.1`,
      `Host: localhost:${platform.stack.port}`,
      `Authorization: Bearer ${owner.accessToken}`,
      'Accept-Encoding: gzip',
      'Connection: close',
    ]
    const { bytes, statuses } = await sendRaw(platform.stack.port, `${head.join('\r\n')}\r\n\r\n`)
    assert.deepEqual(statuses, [200])
    assert.ok(bytes.includes(GZIPPED.subarray(0, 60)), 'the compressed bytes themselves arrive')
    assert.match(bytes.toString('latin1'), /content-encoding: gzip/i)
    const decoded = await owner.fetch(`${page}/gzip`)
    assert.equal(await decoded.text(), 'a page that was compressed by the device '.repeat(200))
  })

  test('answers somebody else, and a controller that is not there, with the same 404', async () => {
    const stranger = await platform.signIn('stranger@wmoc.example')
    const foreign = await stranger.fetch(`${page}/binary`)
    const unknown = await stranger.fetch('/c/0190a000-0000-7000-8000-000000000001/binary')
    assert.deepEqual([foreign.status, unknown.status], [404, 404])
    const [one, two] = [await foreign.json(), await unknown.json()] as Record<string, unknown>[]
    assert.deepEqual({ ...one, requestId: '' }, { ...two, requestId: '' })
  })
})
