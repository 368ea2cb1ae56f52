/** The embedded store as a server on loopback, for a machine without Redis: shared by all processes of one start. */
import { createServer, type Socket } from 'node:net'
import { createEmbeddedStoreCore } from './core/embedded-store.ts'
import { lineReader, type Operation, WireRequest } from './embedded-store-wire.ts'
import { safeEqual } from './ids.ts'
import { listen } from './listen.ts'

export interface EmbeddedStoreServer {
  start(): Promise<void>
  stop(): Promise<void>
  /** `embedded://host:port?token=…`; valid after `start`. */
  readonly url: string
}

const SWEEP_MS = 30_000
const AUTH_TIMEOUT_MS = 5_000
/** A client that lets more than this pile up is cut off, so that one that hangs can't fill the memory. */
const MAX_UNREAD_BYTES = 16_777_216

/**
 * @param options.port 0 lets the system choose.
 * @param options.token Every client must say it first.
 */
export function createEmbeddedStoreServer(options: {
  host: string
  port: number
  token: string
}): EmbeddedStoreServer {
  const core = createEmbeddedStoreCore(Date.now)
  const subscribers = new Map<string, Set<Socket>>()
  const sockets = new Set<Socket>()
  let sweeper: NodeJS.Timeout | undefined
  let port = 0

  function run(socket: Socket, request: Operation): unknown {
    switch (request.op) {
      case 'auth':
      case 'ping':
        return null
      case 'get':
        return core.get(...request.args)
      case 'set':
        return core.set(...request.args)
      case 'take':
        return core.take(...request.args)
      case 'delete':
        return core.delete(...request.args)
      case 'increment':
        return core.increment(...request.args)
      case 'limit':
        return core.limit(...request.args)
      case 'claimPresence':
        return core.claimPresence(...request.args)
      case 'renewPresence':
        return core.renewPresence(...request.args)
      case 'releasePresence':
        return core.releasePresence(...request.args)
      case 'leavePresence':
        return core.leavePresence(...request.args)
      case 'keepLease':
        core.keepLease(...request.args)
        return null
      case 'dropLease':
        core.dropLease(...request.args)
        return null
      case 'leases':
        return core.leases(...request.args)
      case 'getPresence':
        return core.getPresence(...request.args)
      case 'publish': {
        const [channel, message] = request.args
        for (const subscriber of subscribers.get(channel) ?? []) send(subscriber, { channel, message })
        return null
      }
      case 'subscribe': {
        const [channel] = request.args
        const members = subscribers.get(channel) ?? new Set()
        subscribers.set(channel, members.add(socket))
        return null
      }
      case 'unsubscribe':
        forget(socket, request.args[0])
        return null
      default:
        return request satisfies never
    }
  }

  function forget(socket: Socket, channel: string): void {
    const members = subscribers.get(channel)
    members?.delete(socket)
    if (members?.size === 0) subscribers.delete(channel)
  }

  const server = createServer((socket) => {
    let isKnown = false
    sockets.add(socket)
    socket.setEncoding('utf8')
    socket.setNoDelay(true)
    socket.setTimeout(AUTH_TIMEOUT_MS, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      for (const channel of subscribers.keys()) forget(socket, channel)
    })
    const feed = lineReader((line) => {
      const request = WireRequest.parse(JSON.parse(line))
      if (!isKnown) {
        isKnown = request.op === 'auth' && safeEqual(request.args[0], options.token)
        if (!isKnown) {
          socket.end()
          return
        }
        socket.setTimeout(0)
      }
      send(socket, { id: request.id, value: run(socket, request) })
    })
    socket.on('data', (text: string) => {
      try {
        feed(text)
      } catch {
        socket.destroy()
      }
    })
  })

  return {
    get url() {
      return `embedded://${options.host}:${port}?token=${encodeURIComponent(options.token)}`
    },
    async start() {
      port = await listen(server, { port: options.port, host: options.host })
      sweeper = setInterval(() => core.sweep(), SWEEP_MS).unref()
    },
    stop() {
      clearInterval(sweeper)
      return new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}

function send(socket: Socket, reply: object): void {
  if (socket.destroyed) return
  if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy()
  else socket.write(`${JSON.stringify(reply)}\n`)
}
