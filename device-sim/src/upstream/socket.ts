/** A user's WebSocket passed through to a real device: subprotocol, messages, close codes; each side answers pings. */
import type { IncomingMessage } from 'node:http'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { WebSocket } from 'ws'
import type { DeviceRequest, Room, SocketHandler, SocketListener } from '../device/handler.ts'
import { openingHeaders, responseHeaders } from './headers.ts'

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }
const HANDSHAKE_TIMEOUT_MS = 10_000
/** A message of the device longer than this ends the WebSocket with 1009. */
const MAX_MESSAGE_BYTES = 16 * 1_048_576
const MAX_REFUSAL_BYTES = 65_536
const HIGH_WATER_BYTES = 131_072
const NO_CODE = 1005
const LOST = 1006
/** Fields of the device's 101 that belong to its own connection. */
const OWN_FIELDS = new Set(['sec-websocket-accept', 'sec-websocket-extensions'])

/** Opens the same path at `target`; a refusal of the device is passed on as it is. */
export function forwardSocket(target: URL, ...[request, socket]: Parameters<SocketHandler>): void {
  if (/[^\x21-\xff]/.test(request.path)) return socket.refuse(400, TEXT, Buffer.from('bad path\n'))
  let answered: HeaderBlock = {}
  let state: 'opening' | 'open' | 'over' = 'opening'
  const upstream = dial(target, request)
  const leave = () => upstream.terminate()
  request.signal.addEventListener('abort', leave, { once: true })
  upstream.on('upgrade', ({ rawHeaders, headers }) => {
    answered = responseHeaders(rawHeaders, target.host)
    // The device chose for the user, who offered; this client offered nothing itself.
    delete headers['sec-websocket-protocol']
  })
  upstream.on('open', () => {
    state = 'open'
    socket.accept(withoutOwnFields(answered), passOn(upstream))
  })
  upstream.on('unexpected-response', (outgoing, response) => {
    state = 'over'
    void refusal(response).then((body) => {
      socket.refuse(response.statusCode ?? 502, responseHeaders(response.rawHeaders, target.host), body)
      outgoing.destroy()
    })
  })
  upstream.on('message', (data: Buffer, isBinary) => {
    const room = socket.send(data, isBinary)
    if (!room) return
    upstream.pause()
    void room.then(() => upstream.resume())
  })
  upstream.on('error', (error: NodeJS.ErrnoException) => {
    if (state !== 'opening' || request.signal.aborted) return
    state = 'over'
    socket.refuse(502, TEXT, Buffer.from(`upstream unreachable: ${error.code ?? error.message}\n`))
  })
  upstream.on('close', (code, reason) => {
    request.signal.removeEventListener('abort', leave)
    if (state !== 'open') return
    if (code === LOST) socket.fail('upstream broke off')
    else socket.close(code === NO_CODE ? 1000 : code, reason.toString('utf8'))
  })
}

function dial(target: URL, request: DeviceRequest): WebSocket {
  return new WebSocket(`ws://${target.host}/`, {
    headers: openingHeaders(request.headers, target.host),
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    finishRequest(outgoing) {
      // An address would be normalised; the device gets the path that the user sent.
      outgoing.path = request.path
      outgoing.end()
    },
  })
}

/** What the user says goes to the device. */
function passOn(upstream: WebSocket): SocketListener {
  return {
    message(bytes, isBinary, isLast): Room {
      if (upstream.readyState !== WebSocket.OPEN) return undefined
      if (upstream.bufferedAmount < HIGH_WATER_BYTES) {
        upstream.send(bytes, { binary: isBinary, fin: isLast })
        return undefined
      }
      return new Promise((resolve) => {
        upstream.send(bytes, { binary: isBinary, fin: isLast }, () => resolve())
      })
    },
    closed(code, reason) {
      if (code === LOST) upstream.terminate()
      else if (code === NO_CODE) upstream.close()
      else upstream.close(code, reason)
    },
  }
}

function withoutOwnFields(headers: HeaderBlock): HeaderBlock {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN_FIELDS.has(name.toLowerCase())))
}

/** The beginning of a refusal's body. */
async function refusal(response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  try {
    for await (const piece of response) {
      if (!Buffer.isBuffer(piece)) continue
      pieces.push(piece)
      length += piece.length
      if (length > MAX_REFUSAL_BYTES) break
    }
  } catch {
    // What came of it must do.
  }
  return Buffer.concat(pieces).subarray(0, MAX_REFUSAL_BYTES)
}
