/** WebSockets of users, passed through. */
import { expect, expectThat, Mismatch, within, type Case } from '#src/case.ts'
import { pattern } from '#src/pattern.ts'
import type { Transport, UserSocket } from '#src/transports/transport.ts'
import { page } from './requests.ts'

const SPEC = 'protocol: WS_OPEN, WS_MSG, WS_CLOSE; RFC 6455'
const PATIENCE_MS = 20_000

async function opened(transport: Transport, protocols?: readonly string[]): Promise<UserSocket> {
  const socket = await within('101', PATIENCE_MS, transport.socket(page('socket'), protocols))
  if ('refused' in socket) throw new Mismatch('status', 101, socket.refused)
  return socket
}

async function next(socket: UserSocket) {
  const message = await within('a message', PATIENCE_MS, socket.next())
  if (!message) throw new Mismatch('a message', 'one', 'the end')
  return message
}

function socketCase(
  id: string,
  title: string,
  run: (socket: UserSocket) => Promise<void>,
  protocols?: readonly string[],
): Case<Transport> {
  return {
    id: `socket-${id}`,
    title,
    spec: SPEC,
    needs: ['page', 'websocket'],
    async run(transport) {
      const socket = await opened(transport, protocols)
      await run(socket)
      socket.close(1000, '')
      await within('the close', PATIENCE_MS, socket.closed)
    },
  }
}

async function echoes(socket: UserSocket, bytes: Buffer, isBinary: boolean): Promise<void> {
  socket.send(bytes, isBinary)
  const message = await next(socket)
  expect('kind', message.isBinary, isBinary)
  expectThat(
    'message',
    message.bytes.equals(bytes),
    `${bytes.length} octets as sent`,
    `${message.bytes.length} octets`,
  )
}

export const SOCKET_CASES: readonly Case<Transport>[] = [
  socketCase('text', 'a text message comes back as text', (socket) =>
    echoes(socket, Buffer.from('grüß dich ☕'), false),
  ),
  socketCase('binary', 'a binary message comes back octet for octet', (socket) =>
    echoes(socket, pattern(3_000), true),
  ),
  socketCase('empty', 'an empty message is a message', (socket) => echoes(socket, Buffer.alloc(0), false)),
  socketCase('large', 'a message larger than every window comes whole', (socket) =>
    echoes(socket, pattern(400_000), true),
  ),
  socketCase('order', 'five hundred messages come in order', async (socket) => {
    socket.send(Buffer.from('count 500'), false)
    for (let at = 0; at < 500; at += 1) expect('message', (await next(socket)).bytes.toString(), String(at))
  }),
  socketCase(
    'protocol',
    'the device chooses the subprotocol',
    async (socket) => expect('subprotocol', socket.protocol, 'conformance'),
    ['other', 'conformance'],
  ),
  {
    id: 'socket-close-device',
    title: 'the device’s close code reaches the user',
    spec: SPEC,
    needs: ['page', 'websocket'],
    async run(transport) {
      const socket = await opened(transport)
      socket.send(Buffer.from('close 4001'), false)
      expect('code', (await within('the close', PATIENCE_MS, socket.closed)).code, 4001)
    },
  },
  {
    id: 'socket-refused',
    title: 'a WebSocket that the device refuses gets its status',
    spec: 'protocol: any RESP but 101 refuses',
    needs: ['page', 'websocket'],
    async run(transport) {
      expect('answer', await within('an answer', PATIENCE_MS, transport.socket(page('no-socket'))), {
        refused: 403,
      })
    },
  },
]
