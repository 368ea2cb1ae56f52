/** A device reduced to its socket: sends exactly what a test says and keeps what came, byte for byte. */
import { once } from 'node:events'
import { ServerMessage } from '@wmoc/protocol/messages'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'

type Message<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>
type Reply = { status?: unknown; headers?: unknown; body?: string; bodyEncoding?: 'base64'; more?: boolean }

export interface RawDevice {
  readonly socket: WebSocket
  /** Everything that came, as text. */
  readonly received: readonly string[]
  readonly closed: Promise<{ code: number; reason: string }>
  send(message: unknown): void
  /** The next message of this type that no earlier call took; each is checked against the specification. */
  next<Type extends ServerMessage['type']>(type: Type, timeoutMs?: number): Promise<Message<Type>>
  /** Answers every request from now on. */
  serve(handler: (request: Message<'http_request'>) => Reply | null): void
  stop(): void
}

export async function connectDevice(
  port: number,
  options: ClientOptions = {},
  path = '/tunnel',
): Promise<RawDevice> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false, ...options })
  const received: string[] = []
  const untaken: ServerMessage[] = []
  const waiters = new Set<() => void>()
  let handler: ((request: Message<'http_request'>) => Reply | null) | null = null

  const send = (message: unknown) =>
    socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  socket.on('message', (data: Buffer) => {
    received.push(data.toString())
    const message = ServerMessage.parse(JSON.parse(data.toString()))
    if (message.type === 'http_request' && handler !== null) {
      const reply = handler(message)
      if (reply !== null) send({ type: 'http_response', id: message.id, status: 200, headers: {}, ...reply })
      return
    }
    untaken.push(message)
    for (const waiter of waiters) waiter()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  )
  socket.on('error', () => undefined)
  await once(socket, 'open')

  return {
    socket,
    received,
    closed,
    send,
    next(type, timeoutMs = 60_000) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const at = untaken.findIndex((message) => message.type === type)
          if (at < 0) return
          finish()
          resolve(untaken.splice(at, 1)[0] as Message<typeof type>)
        }
        const timer = setTimeout(() => {
          finish()
          reject(new Error(`no ${type} in ${timeoutMs} ms; came: ${received.join(' ').slice(0, 500)}`))
        }, timeoutMs)
        const finish = () => {
          clearTimeout(timer)
          waiters.delete(look)
        }
        waiters.add(look)
        look()
      })
    },
    serve(next) {
      handler = next
    },
    stop: () => socket.terminate(),
  }
}
