/** The WebSocket of a tunnel: text in, checked messages out, sends that wait for room. */
import { WebSocket } from 'ws'
import type { ClientMessage, ServerMessage } from '@wmoc/protocol/messages'
import { parseServerMessage, serialise } from '@wmoc/protocol/v1-codec'

export type Tunnel = {
  /** Resolves when the socket has room again; at once when it is gone. */
  send(message: ClientMessage): Promise<void>
  sendRaw(text: string): void
  /** Says goodbye (1000). */
  close(): void
  /** No goodbye. */
  cut(): void
  /** When the socket is gone. */
  closed: Promise<void>
}

export type TunnelHandlers = {
  onOpen(): void
  onMessage(message: ServerMessage): void
  /** Something that is no message came; the tunnel stays. */
  onFault(error: Error): void
  /** Once, also when it never opened (1006). */
  onClose(code: number, reason: string): void
}

/** Bytes that may wait in the process before a sender has to. */
const HIGH_WATER_BYTES = 131_072
/** A request of 16 MiB in base64, and its head. */
const MAX_PAYLOAD_BYTES = 24 * 1_048_576
/** The gateway pings each 25 s; three of them missed is a dead line. */
const SILENCE_MS = 80_000
const CLOSE_TIMEOUT_MS = 2_000

/** Opens a tunnel. Certificates are verified, redirects refused, compression never offered. */
export function openTunnel(url: string, handlers: TunnelHandlers): Tunnel {
  const socket = new WebSocket(url, 'wmoc.v1', {
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: 10_000,
    maxPayload: MAX_PAYLOAD_BYTES,
  })
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const silence = setTimeout(() => socket.terminate(), SILENCE_MS)
  socket.on('open', () => handlers.onOpen())
  socket.on('ping', () => silence.refresh())
  socket.on('message', (data) => {
    silence.refresh()
    const parsed = parseServerMessage(
      Buffer.isBuffer(data) ? data : Buffer.concat([data].flat().map(asBytes)),
    )
    if (parsed.ok) handlers.onMessage(parsed.message)
    else handlers.onFault(new Error(`bad message of the gateway: ${parsed.detail}`))
  })
  // What went wrong also ends in `close`, with 1006.
  socket.on('error', () => undefined)
  socket.on('close', (code, reason) => {
    clearTimeout(silence)
    resolve()
    handlers.onClose(code, reason.toString('utf8'))
  })

  return {
    closed,
    send(message) {
      if (socket.readyState !== WebSocket.OPEN) return Promise.resolve()
      const text = serialise(message)
      if (socket.bufferedAmount < HIGH_WATER_BYTES) {
        socket.send(text)
        return Promise.resolve()
      }
      return new Promise((done) => {
        socket.send(text, () => done())
      })
    },
    sendRaw: (text) => socket.readyState === WebSocket.OPEN && socket.send(text),
    close() {
      socket.close(1000, 'closed')
      const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS)
      void closed.then(() => clearTimeout(timer))
    },
    cut: () => socket.terminate(),
  }
}

function asBytes(part: Buffer | ArrayBuffer): Buffer {
  return Buffer.isBuffer(part) ? part : Buffer.from(part)
}
