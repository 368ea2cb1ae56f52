/** Other ports of the device behind an agent. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { WebSocketServer } from 'ws'
import type { DeviceRequest, DeviceSocket, ResponseSink } from '../device/handler.ts'
import { RequestBody } from '../device/request-body.ts'
import { createForward, type Forward } from './forward.ts'

suite('other ports of the device behind an agent', () => {
  const servers: http.Server[] = []
  const leaving = new AbortController()
  let main: number
  let other: number
  let closed: number
  let forward: Forward

  async function serve(name: string): Promise<number> {
    const server = http.createServer((request, response) =>
      response.end(
        `${name} ${request.url} for ${request.headers.host} ${String(request.headers['x-forwarded-port'] ?? 'none')}`,
      ),
    )
    new WebSocketServer({ server }).on('connection', (socket) => socket.send(name))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    return (server.address() as AddressInfo).port
  }

  before(async () => {
    ;[main, other, closed] = [await serve('main'), await serve('other'), await serve('closed')]
    forward = createForward(`http://127.0.0.1:${main}`, [other])
  })
  after(() => {
    leaving.abort()
    forward.close()
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  })

  const requestFor = (port: number | string | null): DeviceRequest => ({
    method: 'GET',
    path: '/x?y',
    headers: port === null ? {} : { 'x-forwarded-port': String(port) },
    body: RequestBody.empty,
    isLive: false,
    signal: leaving.signal,
  })

  function ask(port: number | string | null): Promise<{ status: number; text: string }> {
    return new Promise((resolve) => {
      const sink: ResponseSink = {
        whole(status, _headers, body) {
          resolve({ status, text: Buffer.from(body ?? []).toString() })
          return undefined
        },
        begin: () => undefined,
        write: () => undefined,
        end: () => undefined,
        fail: () => undefined,
      }
      void forward.handler(requestFor(port), sink)
    })
  }

  function open(port: number): Promise<string> {
    return new Promise((resolve) => {
      const socket: DeviceSocket = {
        accept: () => undefined,
        refuse: (status) => resolve(`refused ${status}`),
        send(bytes) {
          resolve(Buffer.from(bytes).toString())
          return undefined
        },
        close: () => undefined,
        fail: () => undefined,
      }
      forward.socketHandler(requestFor(port), socket)
    })
  }

  test('requests and WebSockets go to the port that was asked for, which the device is not told', async () => {
    assert.equal((await ask(null)).text, `main /x?y for 127.0.0.1:${main} none`)
    assert.equal((await ask(other)).text, `other /x?y for 127.0.0.1:${other} none`)
    assert.equal(await open(other), 'other')
  })

  test('P13: a port that was not allowed is refused with those that are', async () => {
    for (const port of [closed, main, `${other}@evil`, '', '080'])
      assert.deepEqual(await ask(port), {
        status: 404,
        text: `only these other ports are allowed here: ${other}\n`,
      })
    assert.equal(await open(closed), 'refused 404')
  })
})
