import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { SseFrame } from './module.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { writeSse } from './sse.ts'

async function serve(
  frames: (signal: AbortSignal) => AsyncGenerator<SseFrame>,
): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => {
    const controller = new AbortController()
    response.once('close', () => controller.abort())
    void writeSse(response, frames(controller.signal))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

suite('the stream writer', () => {
  test('writes frames as they come and ends with the iterable', async () => {
    const { server, port } = await serve(async function* () {
      yield { id: '1', event: 'a', data: { n: 1 } }
      yield { data: 'two' }
    })
    const text = await (await fetch(`http://127.0.0.1:${port}`)).text()
    assert.equal(text, 'id: 1\nevent: a\ndata: {"n":1}\n\ndata: "two"\n\n')
    server.close()
  })

  test('asks for no more than a client that does not read has room for', async () => {
    let asked = 0
    const ended = Promise.withResolvers<void>()
    const { server, port } = await serve(async function* () {
      try {
        for (;;) {
          asked += 1
          yield { data: 'x'.repeat(100_000) }
        }
      } finally {
        ended.resolve()
      }
    })
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    let last = 0
    await waitFor(async () => {
      const before = last
      last = asked
      await new Promise((resolve) => setTimeout(resolve, 300))
      return asked > 0 && asked === before
    })
    assert.ok(asked < 1_000, `${asked} frames were made for nobody`)
    socket.destroy()
    await ended.promise
    server.close()
  })
})
