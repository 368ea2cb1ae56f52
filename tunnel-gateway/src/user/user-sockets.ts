/** The users' end of WebSockets: the handshake once the device has agreed, and who is still there. */
import type { IncomingMessage } from 'node:http'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { MAX_MESSAGE_BYTES } from '#src/core/message-builder.ts'
import type { UpgradeRequest } from './proxy.ts'

export interface UserSockets {
  /** Completes the handshake. @param subprotocol As the device chose; empty: none. */
  accept(upgrade: UpgradeRequest, subprotocol: string, begin: (socket: WebSocket) => void): void
}

const PING_MS = 30_000

export function createUserSockets(): UserSockets {
  const answers = new WeakMap<IncomingMessage, { subprotocol: string; headers: readonly string[] }>()
  /** With whether something came since the last ping. */
  const open = new Map<WebSocket, boolean>()
  let timer: NodeJS.Timeout | null = null
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: 4_096,
    maxBufferedChunks: 4_096,
    handleProtocols: (_offered, request) => answers.get(request)?.subprotocol || false,
  })
  server.on('headers', (lines, request) => {
    const { headers } = answers.get(request)!
    for (let index = 0; index < headers.length; index += 2)
      lines.push(`${headers[index]}: ${headers[index + 1]}`)
  })

  /** A connection that died without a word is found within two pings. */
  function ping(): void {
    for (const [socket, isAlive] of open) {
      // Nothing is read from one that waits for its device.
      if (!isAlive && !socket.isPaused) {
        socket.terminate()
        continue
      }
      open.set(socket, false)
      if (socket.readyState === socket.OPEN) socket.ping()
    }
  }

  function watch(socket: WebSocket): void {
    const heard = () => void open.set(socket, true)
    heard()
    socket.on('pong', heard)
    socket.on('message', heard)
    socket.once('close', () => {
      open.delete(socket)
      if (open.size > 0 || timer === null) return
      clearInterval(timer)
      timer = null
    })
    timer ??= setInterval(ping, PING_MS)
    timer.unref()
  }

  return {
    accept({ request, socket, head, extraHeaders }, subprotocol, begin) {
      answers.set(request, { subprotocol, headers: extraHeaders })
      server.handleUpgrade(request, socket, head, (webSocket) => {
        watch(webSocket)
        begin(webSocket)
      })
    },
  }
}
