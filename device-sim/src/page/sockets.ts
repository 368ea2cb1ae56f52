/** The page's WebSockets: `/ws/echo` (`/` at another port) gives every message back, `/ws/live` tells the status and takes `{"on":…}`. */
import { z } from 'zod'
import type { DeviceSocket, SocketHandler } from '../device/handler.ts'
import { headerOf } from './answer.ts'

const TELL_EVERY_MS = 2_000
/** A longer message is refused: a small device has no room for it. */
const MAX_MESSAGE_BYTES = 65_536
const TOO_BIG = 1009

const Wish = z.object({ on: z.boolean() })

/** `status` is what is told; `setSwitch` does what was wished. */
export function createSockets(status: () => unknown, setSwitch: (isOn: boolean) => void): SocketHandler {
  function live(socket: DeviceSocket): void {
    const tell = () => void socket.send(Buffer.from(JSON.stringify(status())), false)
    const timer = setInterval(tell, TELL_EVERY_MS)
    const messages = wholeMessages(socket, (bytes) => {
      const wish = Wish.safeParse(parseJson(bytes))
      if (wish.success) setSwitch(wish.data.on)
      tell()
    })
    socket.accept({}, { message: messages, closed: () => clearInterval(timer) })
    tell()
  }

  return (request, socket) => {
    const { pathname } = URL.parse(request.path, 'http://device') ?? { pathname: '' }
    if (pathname === '/ws/live') return live(socket)
    const isEcho = pathname === (headerOf(request, 'x-forwarded-port') === null ? '/ws/echo' : '/')
    if (!isEcho) return socket.refuse(404, { 'Content-Type': 'text/plain' }, NOT_FOUND)
    const offered = headerOf(request, 'sec-websocket-protocol')?.split(',')[0]?.trim()
    const echo = wholeMessages(socket, (bytes, isBinary) => socket.send(bytes, isBinary))
    socket.accept(offered ? { 'Sec-WebSocket-Protocol': offered } : {}, {
      message: echo,
      closed: () => undefined,
    })
  }
}

const NOT_FOUND = Buffer.from('no such WebSocket\n')

/** Puts pieces together; a message that is too long closes the WebSocket. */
export function wholeMessages(
  socket: DeviceSocket,
  take: (bytes: Buffer, isBinary: boolean) => Promise<void> | undefined | void,
) {
  let pieces: Uint8Array[] = []
  let length = 0
  return (bytes: Uint8Array, isBinary: boolean, isLast: boolean): Promise<void> | undefined => {
    length += bytes.length
    if (length > MAX_MESSAGE_BYTES) {
      socket.close(TOO_BIG, 'message too big')
      return undefined
    }
    pieces.push(bytes)
    if (!isLast) return undefined
    const whole = Buffer.concat(pieces, length)
    pieces = []
    length = 0
    return take(whole, isBinary) ?? undefined
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
