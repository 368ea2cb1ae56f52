import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { testRedis } from '@wmoc/testkit/redis'
import { announceTo, IN_FRAME, openFrame, served } from '#src/page/testing/frames.ts'
import { startControlPlane } from '#src/testing/control-plane-server.ts'
import { startFaultyLink } from '#src/testing/faulty-link.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { addController, look } from './testing/looker.ts'

const ROOM = { max_req_header: 2_048, max_streams: 16 }

suite('who waits for an answer of others, or gets one that is kept', { timeout: 120_000 }, () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ MAX_REQUESTS_PER_USER: '8' })
  })
  after(() => harness.stop())

  async function joined(): Promise<number> {
    return Number(
      /page_cache_requests_total\{result="coalesced"\} (\d+)/.exec(await harness.metrics())?.[1] ?? 0,
    )
  }

  const head = (label: string, path: string, cookie: string, destination = 'script') =>
    `GET ${path} HTTP/1.1\r\nHost: ${label}.localhost:8080\r\nCookie: ${cookie}\r\n` +
    `Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: ${destination}\r\n\r\n`

  test('U7: who lost access while an earlier answer of the connection is still to come, gets no second answer', async () => {
    const known = addController(harness, { pageCache: 'public' })
    const device = await harness.online(known, ROOM)
    const other = addController(harness)
    const slow = await harness.online(other, ROOM)
    const first = await look(harness, known)
    const second = await look(harness, known)
    const { cookie } = await look(harness, other, second.person)
    const leading = first.load('/a.js')
    const { id } = await device.next('http_request')
    const count = await joined()
    const socket = connect(harness.port, '127.0.0.1')
    socket.write(head(other.record.pageLabel, '/slow.js', cookie))
    socket.write(head(known.record.pageLabel, '/a.js', second.cookie))
    const slowId = (await slow.next('http_request')).id
    await until(async () => (await joined()) === count + 1)
    const { controllerId } = known.record
    const { userId } = second.person
    harness.controlPlane.roles.delete(`${userId} ${controllerId}`)
    await announceTo(harness, { type: 'access_changed', userId, controllerId })
    // The word has come, and what it ends has ended a turn later.
    await until(async () => (await harness.api(second.person, controllerId)).status === 404)
    device.send({ type: 'http_response', id, status: 200, headers: {}, body: 'x' })
    assert.equal((await leading).text, 'x')
    slow.send({ type: 'http_response', id: slowId, status: 200, headers: {}, body: 'late' })
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await until(() => text.includes('late') && text.includes('not_found'))
    assert.equal(text.match(/HTTP\/1\.1/g)?.length, 2)
    socket.destroy()
  })

  test('T11: what is kept is read by no more at a time than one may have under way', async () => {
    const known = addController(harness)
    const device = await harness.online(known, ROOM)
    device.serve(({ path }) =>
      path === '/slow.js' ? null : { headers: { 'Cache-Control': 'max-age=60' }, body: 'kept' },
    )
    const reader = await look(harness, known)
    assert.equal((await reader.load('/a.js')).text, 'kept')
    const socket = connect(harness.port, '127.0.0.1')
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
    const { pageLabel } = known.record
    socket.write(head(pageLabel, '/slow.js', reader.cookie))
    for (let at = 0; at < 20; at += 1) socket.write(head(pageLabel, '/a.js', reader.cookie))
    const slow = () => device.received.find((message) => message.includes('/slow.js'))
    await until(() => slow() !== undefined)
    const { id } = JSON.parse(slow()!) as { id: string }
    device.send({ type: 'http_response', id, status: 200, headers: {}, body: 'slow' })
    await until(() => text.match(/HTTP\/1\.1 (?:200|429)/g)?.length === 21)
    assert.ok(text.match(/HTTP\/1\.1 429/g)!.length >= 10)
    await until(async () => (await reader.load('/a.js')).text === 'kept')
    socket.destroy()
  })

  test('P14: the head of a newer answer never takes the place of the whole older one', async () => {
    const known = addController(harness)
    const device = await harness.online(known, ROOM)
    let body = 'one'
    const asked: string[] = []
    device.serve(({ method }) => {
      asked.push(method)
      const headers = { ETag: `"${body}"`, 'Cache-Control': 'max-age=0, stale-while-revalidate=60' }
      if (method !== 'HEAD') return { headers, body }
      return { headers: { ...headers, 'Content-Length': String(body.length) } }
    })
    const reader = await look(harness, known)
    assert.equal((await reader.load('/a.css')).text, 'one')
    body = 'two'
    assert.equal((await reader.load('/a.css', { method: 'HEAD' })).status, 200)
    await until(async () => {
      const { text } = await reader.load('/a.css')
      assert.match(text, /^(?:one|two)$/)
      return text === 'two'
    })
    assert.deepEqual(new Set(asked), new Set(['GET']))
  })
})

test('T13: who left before the device was asked leaves nothing under way', async (t) => {
  const redis = await testRedis()
  const link = await startFaultyLink(redis.port)
  const surroundings = {
    redis: { ...redis, url: `redis://127.0.0.1:${link.port}` },
    controlPlane: await startControlPlane(),
  }
  const harness = await startHarness({ DEVICE_DOMAIN: '' }, undefined, surroundings)
  t.after(async () => {
    link.delayMs = 0
    await harness.stop()
    await link.stop()
    await surroundings.controlPlane.stop()
    await redis.stop()
  })
  const { id, person, device } = await served(harness, 'owner', ROOM)
  const { src } = await openFrame(harness, id, person)
  const events = { headers: { 'Content-Type': 'text/event-stream' }, body: 'data: 1\n\n', more: true }
  device.serve(() => events)
  assert.equal((await harness.ask({ path: `${src}x.html`, method: 'HEAD', headers: IN_FRAME })).status, 200)
  // The page's cookies are asked for meanwhile.
  link.delayMs = 2_000
  const socket = connect(harness.port, '127.0.0.1')
  socket.write(
    `GET ${src}events HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: null\r\nSec-Fetch-Dest: empty\r\n\r\n`,
  )
  await sleep(500)
  socket.destroy()
  await sleep(4_000)
  assert.equal((await harness.status())['inFlight'], 0)
})
