import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { announceTo } from '#src/page/testing/frames.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Answer, Harness } from '#src/testing/harness.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'
import { addController, askedFor, look } from './testing/looker.ts'

const ROOM = { max_req_header: 2_048, max_streams: 16 }

suite('equal requests at the same time', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ PAGE_CACHE_OBJECT_BYTES: '65536' })
  })
  after(() => harness.stop())

  async function served(changes: Parameters<typeof addController>[1] = {}) {
    const known = addController(harness, changes)
    const device = await harness.online(known, ROOM)
    return { known, device, times: (path: string) => askedFor(device.received, path) }
  }

  /** How many wait for somebody else’s answer, of all of this process. */
  async function coalesced(): Promise<number> {
    return figureOf(await harness.metrics(), 'result="coalesced"')
  }

  /** Starts them all, and lets the device answer the first when the others have joined it. */
  async function together(
    device: RawDevice,
    asks: (() => Promise<Answer>)[],
    reply: object,
  ): Promise<Answer[]> {
    const counted = await coalesced()
    const answers = asks.map((ask) => ask())
    const { id } = await device.next('http_request')
    await until(async () => (await coalesced()) === counted + asks.length - 1)
    device.send({ type: 'http_response', id, status: 200, headers: {}, ...reply })
    return Promise.all(answers)
  }

  test('of ten tabs are one at the device', async () => {
    const { known, device, times } = await served()
    const owner = await look(harness, known)
    const answers = await together(
      device,
      Array.from({ length: 10 }, () => () => owner.load('/')),
      { body: 'page' },
    )
    assert.deepEqual(new Set(answers.map(({ text }) => text)), new Set(['page']))
    const polls = await together(
      device,
      Array.from({ length: 10 }, () => () => owner.script('/status')),
      { headers: { 'Content-Type': 'application/json' }, body: '{}' },
    )
    assert.ok(polls.every(({ status, text }) => status === 200 && text === '{}'))
    assert.deepEqual([times('/'), times('/status')], [1, 1])
  })

  test('of two people are two, unless the owner made the page public', async () => {
    for (const [pageCache, expected] of [
      ['private', 2],
      ['public', 1],
    ] as const) {
      const { known, device, times } = await served({ pageCache })
      const first = await look(harness, known)
      const second = await look(harness, known)
      const counted = await coalesced()
      const answers = [first.load('/a.js')]
      const ids = [(await device.next('http_request')).id]
      answers.push(second.load('/a.js'))
      if (pageCache === 'private') ids.push((await device.next('http_request')).id)
      else await until(async () => (await coalesced()) === counted + 1)
      for (const id of ids) device.send({ type: 'http_response', id, status: 200, headers: {}, body: 'x' })
      for (const answer of answers) assert.equal((await answer).text, 'x')
      assert.equal(times('/a.js'), expected, pageCache)
    }
  })

  test('go to the device each where a script asks with a query: there it may be a command', async () => {
    const { known, device, times } = await served()
    const owner = await look(harness, known)
    const answers = [owner.script('/cm?cmnd=TOGGLE'), owner.script('/cm?cmnd=TOGGLE')]
    for (const _ of answers) {
      const { id } = await device.next('http_request')
      device.send({ type: 'http_response', id, status: 200, headers: {}, body: 'ok' })
    }
    for (const answer of answers) assert.equal((await answer).text, 'ok')
    assert.equal(times('/cm?cmnd=TOGGLE'), 2)
  })

  test('what is asked after a change never joins what was asked before it', async () => {
    const { known, device, times } = await served()
    const owner = await look(harness, known)
    const sooner = owner.script('/state')
    const old = await device.next('http_request')
    const change = owner.script('/toggle', { method: 'POST', body: '1' })
    const toggled = await device.next('http_request')
    device.send({ type: 'http_response', id: toggled.id, status: 204, headers: {} })
    assert.equal((await change).status, 204)
    const later = owner.script('/state')
    const anew = await device.next('http_request')
    device.send({ type: 'http_response', id: anew.id, status: 200, headers: {}, body: 'on' })
    device.send({ type: 'http_response', id: old.id, status: 200, headers: {}, body: 'off' })
    assert.deepEqual([(await sooner).text, (await later).text, times('/state')], ['off', 'on', 2])
  })

  test('whoever asked first may leave: the others get their answer', async () => {
    const { known, device, times } = await served()
    const owner = await look(harness, known)
    const gone = new AbortController()
    const first = leaving(harness, known.record.pageLabel, owner.cookie, gone.signal)
    const { id } = await device.next('http_request')
    const counted = await coalesced()
    const second = owner.load('/slow')
    await until(async () => (await coalesced()) === counted + 1)
    gone.abort()
    await first
    device.send({ type: 'http_response', id, status: 200, headers: {}, body: 'still', more: true })
    device.send({ type: 'http_response_chunk', id, body: ' here', more: false })
    assert.equal((await second).text, 'still here')
    assert.equal(times('/slow'), 1)
  })

  test('when the last one leaves, the device is told', async () => {
    const { known, device } = await served()
    const owner = await look(harness, known)
    const gone = new AbortController()
    const only = leaving(harness, known.record.pageLabel, owner.cookie, gone.signal)
    const { id } = await device.next('http_request')
    gone.abort()
    await only
    assert.equal((await device.next('http_cancel')).id, id)
  })

  test('events, what may not be stored and what is too long go to each by itself', async () => {
    const { known, device, times } = await served()
    const owner = await look(harness, known)
    const heads: Record<string, object> = {
      '/events': { 'Content-Type': 'text/event-stream' },
      '/camera': { 'Content-Type': 'multipart/x-mixed-replace; boundary=x' },
      '/secret': { 'Cache-Control': 'no-store' },
      '/cookie': { 'Set-Cookie': 'a=b' },
      '/long': { 'Content-Length': '70000' },
    }
    for (const [path, headers] of Object.entries(heads)) {
      const counted = await coalesced()
      const answers = [owner.load(path), owner.load(path)]
      const first = await device.next('http_request')
      await until(async () => (await coalesced()) === counted + 1)
      const body = path === '/long' ? 'x'.repeat(35_000) : 'data: 1\n\n'
      const send = (id: string) => {
        device.send({ type: 'http_response', id, status: 200, headers, body, more: true })
        device.send({ type: 'http_response_chunk', id, body: path === '/long' ? body : '', more: false })
      }
      send(first.id)
      send((await device.next('http_request')).id)
      for (const answer of answers) assert.equal((await answer).status, 200, path)
      assert.equal(times(path), 2, path)
    }
  })

  test('T11: a body without end is held up to its limit, and those who waited for it ask by themselves', async () => {
    const { known, device, times } = await served()
    const owner = await look(harness, known)
    const counted = await coalesced()
    const gone = new AbortController()
    const cookie = owner.cookie
    const first = leaving(harness, known.record.pageLabel, cookie, gone.signal)
    const { id } = await device.next('http_request')
    const second = leaving(harness, known.record.pageLabel, cookie, gone.signal)
    await until(async () => (await coalesced()) === counted + 1)
    device.send({
      type: 'http_response',
      id,
      status: 200,
      headers: { 'Cache-Control': 'max-age=9' },
      more: true,
    })
    for (let at = 0; at < 8; at += 1)
      device.send({ type: 'http_response_chunk', id, body: 'x'.repeat(16_384), more: true })
    await device.next('http_request')
    assert.equal(times('/slow'), 2)
    gone.abort()
    await Promise.all([first, second])
  })

  test('a failure is told to all who wait, and who lost access is cut off at once', async () => {
    const { known, device, times } = await served({ pageCache: 'public' })
    const first = await look(harness, known)
    const second = await look(harness, known)
    const counted = await coalesced()
    const answers = [first.load('/a.js')]
    await device.next('http_request')
    answers.push(second.load('/a.js'))
    await until(async () => (await coalesced()) === counted + 1)
    harness.controlPlane.roles.delete(`${second.person.userId} ${known.record.controllerId}`)
    const { controllerId } = known.record
    await announceTo(harness, { type: 'access_changed', userId: second.person.userId, controllerId })
    assert.equal((await answers[1]!).status, 404)
    device.stop()
    assert.ok([502, 503].includes((await answers[0]!).status))
    assert.equal(times('/a.js'), 1)
  })

  test('another one’s access that ends is no failure of those who joined', async () => {
    const { known, device } = await served({ pageCache: 'public' })
    const first = await look(harness, known)
    const second = await look(harness, known)
    const counted = await coalesced()
    const answers = [first.load('/a.js')]
    const asked = await device.next('http_request')
    answers.push(second.load('/a.js'))
    await until(async () => (await coalesced()) === counted + 1)
    await announceTo(harness, { type: 'session_ended', sessionIds: [first.person.sessionId] })
    assert.equal((await device.next('http_cancel')).id, asked.id)
    const { id } = await device.next('http_request')
    device.send({ type: 'http_response', id, status: 200, headers: {}, body: 'x' })
    assert.deepEqual([(await answers[0]!).status, (await answers[1]!).text], [404, 'x'])
  })
})

function figureOf(metrics: string, label: string): number {
  const line = metrics
    .split('\n')
    .find((text) => text.startsWith('wmoc_gateway_page_cache_requests_total') && text.includes(label))
  return line === undefined ? 0 : Number(line.split(' ').at(-1))
}

/** Asks for `/slow` until the signal; resolves when the connection is gone. */
function leaving(harness: Harness, label: string, cookie: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port: harness.port,
        path: '/slow',
        agent: false,
        signal,
        headers: {
          host: `${label}.localhost:8080`,
          cookie,
          'sec-fetch-site': 'same-origin',
          'sec-fetch-mode': 'cors',
          'sec-fetch-dest': 'script',
        },
      },
      (response) => response.resume().on('error', () => undefined),
    )
    request.on('error', () => undefined)
    request.on('close', resolve)
    request.end()
  })
}
