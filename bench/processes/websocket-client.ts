/** A WebSocket client (RFC 6455) that holds next to nothing, for ten thousand of them in a process. */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export interface SocketEvents {
  open(): void
  message(bytes: Buffer): void
  /** Once. `retryAfterSec` of a refused upgrade, else 0. */
  closed(retryAfterSec: number): void
}

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10

/** Opens `/tunnel`. Messages are not fragmented: a gateway sends none so. */
export function openSocket(port: number, subprotocol: string, events: SocketEvents): Socket {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let received: Buffer = EMPTY
  let isOpen = false
  let retryAfterSec = 0
  socket.on('connect', () =>
    socket.write(
      `GET /tunnel HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
        `Sec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`,
    ),
  )
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    if (!isOpen) {
      const end = received.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = received.toString('latin1', 0, end)
      if (!head.startsWith('HTTP/1.1 101')) {
        retryAfterSec = Number(/\r\nretry-after: *(\d+)/i.exec(head)?.[1] ?? 1)
        socket.destroy()
        return
      }
      isOpen = true
      received = received.subarray(end + 4)
      events.open()
    }
    received = take(received)
  })
  socket.on('error', () => undefined)
  socket.on('close', () => events.closed(retryAfterSec))

  function take(bytes: Buffer): Buffer {
    let at = 0
    while (bytes.length - at >= 2) {
      const short = bytes[at + 1]! & 0x7f
      const start = at + (short === 127 ? 10 : short === 126 ? 4 : 2)
      if (bytes.length < start) break
      const length =
        short === 127 ? bytes.readUInt32BE(at + 6) : short === 126 ? bytes.readUInt16BE(at + 2) : short
      if (bytes.length < start + length) break
      const opcode = bytes[at]! & 0x0f
      const payload = bytes.subarray(start, start + length)
      if (opcode === PING) socket.write(frame(PONG, payload))
      else if (opcode === CLOSE) socket.end(frame(CLOSE, payload))
      else events.message(payload)
      at = start + length
    }
    return at === bytes.length ? EMPTY : Buffer.from(bytes.subarray(at))
  }
  return socket
}

const EMPTY = Buffer.alloc(0)

/** A whole message. */
export function sendMessage(socket: Socket, bytes: Buffer, isBinary: boolean): void {
  socket.write(frame(isBinary ? BINARY : TEXT, bytes))
}

/** With a mask of zeroes, as the standard allows: masking protects browsers' caches, and there is none here. */
function frame(opcode: number, payload: Buffer): Buffer {
  const extended = payload.length < 126 ? 0 : 2
  const out = Buffer.alloc(2 + extended + 4 + payload.length)
  out[0] = 0x80 | opcode
  out[1] = 0x80 | (extended === 0 ? payload.length : 126)
  if (extended > 0) out.writeUInt16BE(payload.length, 2)
  payload.copy(out, 2 + extended + 4)
  return out
}
