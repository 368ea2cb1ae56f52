import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, get } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { createGentleClose } from './gentle-close.ts'

/** More than the sockets of both ends hold. */
const LARGE = Buffer.alloc(16 * 1024 * 1024, 7)

async function start(context: TestContext, drainMs: number) {
  const server: Server = createServer((request, response) => {
    if (request.url === '/never') response.write('begun')
    else response.end(request.url === '/large' ? LARGE : 'small')
  })
  const close = createGentleClose(server, drainMs)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.closeAllConnections())
  return { close, port: (server.address() as AddressInfo).port }
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<number> {
  let total = 0
  for await (const chunk of stream) total += chunk.length
  return total
}

test('an answer that is complete in memory and on its way arrives, also on a connection that is kept', async (context) => {
  const { close, port } = await start(context, 60_000)
  const agent = new Agent({ keepAlive: true })
  context.after(() => agent.destroy())
  const request = get({ port, host: '127.0.0.1', path: '/large', agent })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const closed = close()
  assert.equal(await bytesOf(response), LARGE.length)
  await closed
})

test('a connection that waits for nothing ends, and no new one is taken', async (context) => {
  const { close, port } = await start(context, 60_000)
  const idle = connect(port, '127.0.0.1')
  await once(idle, 'connect')
  const used = connect(port, '127.0.0.1')
  used.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(used, 'data')
  const ends = Promise.all([once(idle, 'close'), once(used, 'close')])
  idle.on('error', () => {})
  used.on('error', () => {})
  for (const socket of [idle, used]) socket.resume()
  await close()
  await ends
  const late = connect(port, '127.0.0.1')
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
})

test('what never ends is cut when the time is over', async (context) => {
  const { close, port } = await start(context, 50)
  const endless = connect(port, '127.0.0.1')
  endless.on('error', () => {})
  endless.write('GET /never HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(endless, 'data')
  const ended = once(endless.resume(), 'close')
  await close()
  await ended
})
