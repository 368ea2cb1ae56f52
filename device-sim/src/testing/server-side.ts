/** The server's end of a tunnel on a real WebSocket, for tests: says what a test wants and keeps what came. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import type { ClientMessage, ServerMessage } from '@wmoc/protocol/messages'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { parseClientMessage, serialise } from '@wmoc/protocol/v1-codec'

export const CONTROLLER_ID = '0198f6a0-7b1c-7d3e-9a44-2f5d8c1b6e70'
export const SECRET = 'a-secret-of-thirty-two-characters'

/** What a registered device is told in both dialects. */
export const REGISTERED = {
  controllerId: CONTROLLER_ID,
  status: 'active' as const,
  epoch: 1,
  heartbeatSec: 25,
  serverTimeMs: 1_795_000_000_000,
  limits: {
    maxMessageBytes: V1_LIMITS.maxMessageBytes,
    maxStreams: 8,
    maxRequestBody: 1_048_576,
    maxResponseBody: 65_536,
    maxItemsPerBatch: 500,
  },
}

export type Message<Type extends ClientMessage['type']> = Extract<ClientMessage, { type: Type }>

export type Peer = {
  socket: WebSocket
  /** Of the address that was asked for. */
  query: string
  received: ClientMessage[]
  /** Texts that were no message. */
  refused: string[]
  send(message: ServerMessage): void
  /** The next message of that type (and id) that no `next` has returned yet; fails when the socket closes first. */
  next<Type extends ClientMessage['type']>(type: Type, id?: string): Promise<Message<Type>>
  register(issued?: { controller_id: string; secret: string }): void
  /** Close code, once closed. */
  closed: Promise<number>
}

export type ServerSide = {
  url: string
  /** The next connection that no `accept` has returned yet. */
  accept(): Promise<Peer>
  connections: number
  stop(): Promise<void>
}

/** Listens on a free port of 127.0.0.1. */
export async function startServerSide(): Promise<ServerSide> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    maxPayload: V1_LIMITS.maxMessageBytes,
    handleProtocols: (offered) => offered.has('wmoc.v1') && 'wmoc.v1',
  })
  await once(server, 'listening')
  const waiting: Peer[] = []
  const wanted: ((peer: Peer) => void)[] = []
  const side: ServerSide = {
    url: `ws://127.0.0.1:${addressOf(server).port}/tunnel`,
    connections: 0,
    accept() {
      const peer = waiting.shift()
      return peer ? Promise.resolve(peer) : new Promise((resolve) => wanted.push(resolve))
    },
    async stop() {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
  server.on('connection', (socket, request) => {
    side.connections += 1
    const peer = createPeer(socket, new URL(request.url ?? '', 'http://x').search)
    const want = wanted.shift()
    if (want) want(peer)
    else waiting.push(peer)
  })
  return side
}

function addressOf(server: WebSocketServer): AddressInfo {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return address
}

function createPeer(socket: WebSocket, query: string): Peer {
  const received: ClientMessage[] = []
  const refused: string[] = []
  const taken = new Set<ClientMessage>()
  const listeners = new Set<() => void>()
  const { promise: closed, resolve } = Promise.withResolvers<number>()
  socket.on('close', (code) => {
    resolve(code)
    for (const listener of listeners) listener()
  })
  socket.on('message', (data) => {
    const text = Buffer.isBuffer(data) ? data.toString('utf8') : ''
    const parsed = parseClientMessage(text)
    if (parsed.ok) received.push(parsed.message)
    else refused.push(text)
    for (const listener of listeners) listener()
  })
  function send(message: ServerMessage): void {
    socket.send(serialise(message))
  }
  function isOf<Type extends ClientMessage['type']>(
    message: ClientMessage,
    type: Type,
  ): message is Message<Type> {
    return message.type === type
  }
  return {
    socket,
    query,
    received,
    refused,
    closed,
    send,
    next(type, id) {
      const answer = Promise.withResolvers<Message<typeof type>>()
      function look(): void {
        const found = received.find(
          (message) =>
            message.type === type && !taken.has(message) && (id === undefined || idOf(message) === id),
        )
        if (found && isOf(found, type)) {
          taken.add(found)
          listeners.delete(look)
          answer.resolve(found)
        } else if (socket.readyState === socket.CLOSED) answer.reject(new Error(`closed before ${type}`))
      }
      listeners.add(look)
      look()
      return answer.promise
    },
    register: (credentials) =>
      send({
        type: 'registered',
        credentials,
        ...REGISTERED,
      }),
  }
}

function idOf(message: ClientMessage): string | null {
  return 'id' in message ? message.id : null
}

/** Puts the parts of an answer together: the head, the whole body, and why it broke off if it did. */
export async function answerTo(
  peer: Peer,
  id: string,
): Promise<{ head: Message<'http_response'>; body: Buffer; error?: string }> {
  const head = await peer.next('http_response', id)
  const parts = [bytesOf(head)]
  let last: Message<'http_response'> | Message<'http_response_chunk'> = head
  while (last.more) {
    last = await peer.next('http_response_chunk', id)
    parts.push(bytesOf(last))
  }
  return {
    head,
    body: Buffer.concat(parts),
    error: last.type === 'http_response_chunk' ? last.error : undefined,
  }
}

function bytesOf({ body = '', bodyEncoding }: { body?: string; bodyEncoding?: 'utf8' | 'base64' }): Buffer {
  return Buffer.from(body, bodyEncoding ?? 'utf8')
}
