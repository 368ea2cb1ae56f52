/** Three shards that nobody has to know of: whichever one is asked, page, streams, commands and telemetry are the same. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser } from '@wmoc/testkit/chromium'
import { WebSocket } from 'ws'
import { openSignedIn } from './support/browser.ts'
import { eventually, openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'

const UPLOAD = Buffer.alloc(3_000_000, 'through a hop ')
const SHA256 = createHash('sha256').update(UPLOAD).digest('hex')

suite('three shards', () => {
  let platform: TestStack
  let owner: Person
  let id: string

  before(async () => {
    platform = await openStack({}, { shards: 3 })
    owner = await platform.signIn('owner@wmoc.example')
    ;({ id } = await platform.claimSim(owner, { state: 'boiler', args: ['--report', '1'] }))
  })
  after(async () => {
    await platform?.stop()
  })

  const headers = () => ({ host: 'localhost', authorization: `Bearer ${owner.accessToken}` })
  const eachShard = async (work: (port: number) => Promise<void>) => {
    const gateways = platform.stack.gateways()
    assert.equal(gateways.length, 3)
    for (const { port } of gateways) await work(port)
  }
  async function open(port: number, path: string, body?: Buffer): Promise<IncomingMessage> {
    const call = httpRequest({
      host: '127.0.0.1',
      port,
      agent: false,
      path: `/c/${id}${path}`,
      method: body ? 'POST' : 'GET',
      headers: { ...headers(), ...(body ? { 'content-length': body.length } : {}) },
    })
    call.end(body)
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    return response
  }
  /** The first event of an open stream. */
  async function events(port: number): Promise<IncomingMessage> {
    const stream = await open(port, '/api/events')
    assert.equal(stream.statusCode, 200)
    let seen = ''
    while (!seen.includes('data:')) seen += String((await once(stream, 'data'))[0])
    return stream
  }

  test('answer for a controller of any of them: page, upload, events, WebSocket', async () => {
    await eachShard(async (port) => {
      const page = await open(port, '/')
      assert.equal(page.statusCode, 200)
      assert.match(await text(page), /<h1/)
      const digest = await open(port, '/api/digest', UPLOAD)
      assert.deepEqual(JSON.parse(await text(digest)), { bytes: UPLOAD.length, sha256: SHA256 })
      const stream = await events(port)
      stream.destroy()
      const socket = new WebSocket(`ws://127.0.0.1:${port}/c/${id}/ws/echo`, { headers: headers() })
      await once(socket, 'open')
      socket.send('hello')
      assert.equal(String((await once(socket, 'message'))[0]), 'hello')
      socket.close(1000)
      assert.equal((await once(socket, 'close'))[0], 1000)
    })
  })

  test("carry the controller's own page in a browser, one request here, the next one there", async () => {
    const browser: TestBrowser = await openBrowser()
    try {
      const watched = await browser.newContext()
      const tab = await openSignedIn(platform, watched, owner.email)
      await tab.goto(`${platform.url}/c/${id}/`)
      await tab.getByRole('heading', { name: 'Status' }).waitFor()
      assert.match(new URL(tab.url()).hostname, /^[a-z0-9-]+\.localhost$/)
      const seen = await tab.evaluate(`(async () => {
        const bytes = new Uint8Array(${UPLOAD.length}).fill(7)
        const answers = await Promise.all(Array.from({ length: 6 }, () =>
          fetch('/api/digest', { method: 'POST', body: bytes }).then((answer) => answer.json())))
        const event = await new Promise((resolve, reject) => {
          const source = new EventSource('/api/events')
          source.onmessage = ({ data }) => { source.close(); resolve(data) }
          source.onerror = () => reject(new Error('no events'))
        })
        const echo = await new Promise((resolve, reject) => {
          const socket = new WebSocket('/ws/echo')
          socket.onopen = () => socket.send('from a page')
          socket.onmessage = ({ data }) => { socket.close(); resolve(data) }
          socket.onerror = () => reject(new Error('no WebSocket'))
        })
        return { lengths: answers.map(({ bytes }) => bytes), event, echo }
      })()`)
      const { lengths, event, echo } = seen as { lengths: number[]; event: string; echo: string }
      assert.deepEqual(lengths, Array(6).fill(UPLOAD.length))
      assert.ok(event.startsWith('{'))
      assert.equal(echo, 'from a page')
      assert.deepEqual(watched.problems, [])
    } finally {
      await browser.close()
    }
  })

  test('bring commands, metrics and log lines wherever the tunnel is', async () => {
    const { id: commandId } = await owner.api.commands.send({
      params: { id },
      body: { name: 'identify', params: {} },
    })
    await eventually(async () => {
      const { items } = await owner.api.commands.list({ params: { id }, query: {} })
      return items.find((command) => command.id === commandId)?.state === 'acknowledged'
    }, 'the command done')
    await eventually(
      async () => (await owner.api.telemetry.metricTypes({ params: { id } })).items.length > 0,
      'metrics',
    )
    await eventually(
      async () => (await owner.api.telemetry.logs({ params: { id }, query: {} })).items.length > 0,
      'log lines',
    )
  })

  test('D10: a controller that is deleted is cut off at every shard at once', async () => {
    const ports = platform.stack.gateways().map(({ port }) => port)
    const streams = await Promise.all(ports.map(events))
    const ended = streams.map(
      (stream) =>
        new Promise<void>((resolve) => {
          stream.on('error', () => {})
          stream.once('close', resolve)
          stream.resume()
        }),
    )
    await owner.api.controllers.remove({ params: { id } })
    await Promise.all(ended)
    await eachShard(async (port) => {
      await eventually(async () => {
        const answer = await open(port, '/')
        answer.resume()
        return answer.statusCode === 404
      }, 'not found at each shard')
    })
  })
})
