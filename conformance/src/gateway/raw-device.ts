/** A device of dialect v2 reduced to its socket and the stream machine: a case says what it sends and sees what came. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import {
  controlMessage,
  parseServerControl,
  type DeviceControl,
  type ServerControl,
} from '@wmoc/protocol/v2/control-codec'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { decodeFrames, type Frame } from '@wmoc/protocol/v2/frame-codec'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { Hello } from '@wmoc/protocol/v2/handshake'
import type { HeaderList, Mux, MuxStream, RequestHead } from '@wmoc/protocol/v2/mux'
import { within } from '#src/case.ts'

type Welcome = Extract<ServerControl, { type: 'welcome' }>

/** A request that came, and what was heard of it since. */
export interface Asked {
  readonly head: RequestHead
  readonly stream: MuxStream
  bytes: number
  isEnded: boolean
  reset: number | null
  trailers: HeaderList | null
}

/** What outlives a connection when its session goes on. */
interface Session {
  socket: WebSocket
  mux: Mux | null
  readonly asked: Asked[]
}

export interface RawDevice {
  readonly session: Session
  readonly socket: WebSocket
  readonly welcome: Welcome
  readonly asked: readonly Asked[]
  /** Every message that came, as frames. */
  readonly messages: readonly (readonly Frame[])[]
  readonly said: readonly ServerControl[]
  readonly closed: Promise<number>
  say(message: DeviceControl): void
  /** Request number `at`, from 0; waits for it. */
  request(at: number): Promise<Asked>
  heard(type: ServerControl['type']): Promise<ServerControl>
  stop(): void
}

const SOON_MS = 10_000
const POLL_MS = 10

/** Polls: what comes is seen by several listeners, and a case waits for any of it. */
export async function eventually<T>(what: string, look: () => T | undefined | false | null): Promise<T> {
  let isOver = false
  const seen = (async () => {
    for (;;) {
      const found = look()
      if (found !== undefined && found !== false && found !== null) return found
      if (isOver) throw new Error('over')
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS)
      })
    }
  })()
  try {
    return await within(what, SOON_MS, seen)
  } finally {
    isOver = true
    seen.catch(() => undefined)
  }
}

/** Only the socket, for cases about what comes before a greeting. */
export async function openSocket(url: string): Promise<{ socket: WebSocket; closed: Promise<number> }> {
  const socket = new WebSocket(url, 'wmoc.v2', { perMessageDeflate: false })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  socket.on('error', () => undefined)
  await within('the connection', SOON_MS, once(socket, 'open'))
  return { socket, closed }
}

/**
 * Connects, says HELLO, waits for WELCOME. What comes is read but no credit is given back unless the case does.
 * With an `earlier` connection whose session the gateway goes on with, its streams live on.
 */
export async function connectRaw(url: string, hello: Hello, earlier?: RawDevice): Promise<RawDevice> {
  const { socket, closed } = await openSocket(url)
  const said: ServerControl[] = []
  const messages: Frame[][] = []
  const session: Session = earlier?.session ?? { socket, mux: null, asked: [] }
  const { asked } = session
  let isGreeted = false
  session.socket = socket

  const flush = () => {
    while (session.socket.readyState === session.socket.OPEN) {
      const message = session.mux?.pull(65_536)
      if (!message) return
      session.socket.send(message)
    }
  }
  const control = (frame: Frame['type'], payload: Uint8Array) => {
    const parsed = parseServerControl(frame, payload)
    if (parsed.ok) said.push(parsed.message)
  }
  const begin = (welcome: Welcome) => {
    isGreeted = true
    if (welcome.resumed && session.mux?.resume(welcome.resumed.seq)) return
    session.mux = createMux({
      role: 'acceptor',
      maxStreams: 64,
      maxChunk: 16_384,
      sendWindow: { stream: welcome.rx_window, connection: welcome.rx_budget },
      receiveWindow: { stream: hello.rx_window ?? 4_096, connection: hello.rx_budget ?? 4_096 },
      isResumable: hello.credentials?.features?.includes('resume') ?? false,
      wake: () => void setImmediate(flush),
      control,
      accept(head, stream, _kind, isLast) {
        const one: Asked = { head, stream, bytes: 0, isEnded: isLast, reset: null, trailers: null }
        asked.push(one)
        return {
          data: (bytes) => void (one.bytes += bytes.length),
          end(trailers) {
            one.isEnded = true
            one.trailers = trailers
          },
          reset: (code) => void (one.reset = code),
          writable() {},
        }
      },
    })
  }
  socket.on('message', (data: Buffer) => {
    const frames = decodeFrames(data)
    if (typeof frames === 'string') return
    messages.push(frames)
    if (isGreeted) {
      session.mux?.receive(data)
      flush()
      return
    }
    for (const { type, payload } of frames) control(type, payload)
    const welcome = said.find((message): message is Welcome => message.type === 'welcome')
    if (welcome) begin(welcome)
    flush()
  })
  const say = (message: DeviceControl) => socket.send(controlMessage(message))
  say({ ...hello, type: 'hello' })
  const welcome = await eventually('WELCOME', () =>
    said.find((message): message is Welcome => message.type === 'welcome'),
  )
  return {
    session,
    socket,
    welcome,
    asked,
    messages,
    said,
    closed,
    say,
    request: (at) => eventually(`request ${at + 1}`, () => asked[at]),
    heard: (type) => eventually(type, () => said.find((message) => message.type === type)),
    stop() {
      session.mux?.closeAll(RESET.disconnected)
      socket.terminate()
    },
  }
}
