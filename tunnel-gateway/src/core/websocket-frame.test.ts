import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { BINARY, serverFrame, TEXT } from './websocket-frame.ts'

test('frames of every length are read as they were meant by another implementation', async () => {
  const messages = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000].flatMap((length) => [
    Buffer.alloc(length, 'ä€'),
    `€${'x'.repeat(length)}`,
  ])
  const sockets = new WebSocketServer({ noServer: true })
  const server = createServer().on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, () => {
      for (const message of messages)
        socket.write(serverFrame(typeof message === 'string' ? TEXT : BINARY, message))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const came: (Buffer | string)[] = []
  client.on('message', (data: Buffer, isBinary: boolean) => {
    came.push(isBinary ? data : data.toString())
    if (came.length === messages.length) client.close()
  })
  await once(client, 'close')
  assert.deepEqual(came, messages)
  server.close()
})
