/** The gateway's end of a v2 tunnel on a real WebSocket, for tests: asks, and keeps what came. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import type { CommandResult, Log, Metrics } from '@wmoc/protocol/messages'
import {
  controlMessage,
  encodeControl,
  parseDeviceControl,
  type ServerControl,
} from '@wmoc/protocol/v2/control-codec'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import type { Hello } from '@wmoc/protocol/v2/handshake'
import type { HeaderList, Mux, MuxStream, ResponseHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import { REGISTERED } from './server-side.ts'

export const SESSION = 'a-session-of-this-test'
const WINDOW = { stream: 65_536, connection: 1_048_576 }

export interface V2Answer extends ResponseHead {
  body: Buffer
  trailers: HeaderList | null
  /** Code of RST: the answer was cut. */
  reset: number | null
}

export interface V2Peer {
  readonly socket: WebSocket
  readonly hello: Hello
  readonly mux: Mux
  readonly events: readonly (Metrics | Log | CommandResult)[]
  /** Frames that were none. */
  readonly faults: readonly string[]
  /** Says WELCOME. With the mux of a peer that was lost, and what came last there, its session goes on. */
  welcome(options?: { resumed?: V2Peer; extra?: Partial<Extract<ServerControl, { type: 'welcome' }>> }): void
  say(message: Exclude<ServerControl, { type: 'welcome' }>): void
  /** Asks and waits for the whole answer; bytes are acknowledged as they come. */
  ask(path: string, options?: { method?: string; headers?: HeaderList; body?: Uint8Array }): Promise<V2Answer>
  /** Opens a stream with a handler of the test's own. */
  open(
    path: string,
    handler: Partial<StreamHandler>,
    options?: { kind?: 'request' | 'websocket'; method?: string; headers?: HeaderList; isLast?: boolean },
  ): MuxStream
  /** The next event of that type that no `next` has returned yet. */
  next<Type extends 'metrics' | 'log' | 'command_result'>(
    type: Type,
  ): Promise<Extract<Metrics | Log | CommandResult, { type: Type }>>
  readonly closed: Promise<number>
}

export interface V2Side {
  readonly url: string
  /** Queries of the addresses that were asked for, in order. */
  readonly queries: readonly string[]
  /** The next connection that has said HELLO and that no `accept` has returned yet. */
  accept(): Promise<V2Peer>
  stop(): Promise<void>
}

/** Listens on a free port of 127.0.0.1 and takes only dialect v2. */
export async function startV2Side(): Promise<V2Side> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => offered.has('wmoc.v2') && 'wmoc.v2',
  })
  await once(server, 'listening')
  const ready: V2Peer[] = []
  const wanted: ((peer: V2Peer) => void)[] = []
  const queries: string[] = []
  server.on('connection', (socket, request) => {
    queries.push(new URL(request.url ?? '', 'http://x').search)
    socket.once('message', (data: Buffer) => {
      const peer = createPeer(socket, readHello(data))
      const want = wanted.shift()
      if (want) want(peer)
      else ready.push(peer)
    })
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/tunnel`,
    queries,
    accept() {
      const peer = ready.shift()
      return peer ? Promise.resolve(peer) : new Promise((resolve) => wanted.push(resolve))
    },
    async stop() {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

function readHello(data: Buffer): Hello {
  const [frame] = decodeFrames(data)
  if (!frame || typeof frame === 'string') throw new Error('no frame')
  const parsed = parseDeviceControl(frame.type, frame.payload)
  if (!parsed.ok || parsed.message.type !== 'hello') throw new Error('no HELLO')
  return parsed.message
}

function createPeer(socket: WebSocket, hello: Hello): V2Peer {
  const events: (Metrics | Log | CommandResult)[] = []
  const faults: string[] = []
  const taken = new Set<unknown>()
  const listeners = new Set<() => void>()
  const { promise: closed, resolve } = Promise.withResolvers<number>()
  const wiring = { pump, control }
  let mux = newMux(hello, wiring)

  function pump(): void {
    for (let message = mux.pull(65_536); message; message = mux.pull(65_536)) socket.send(message)
  }

  function control(type: FrameType, payload: Uint8Array): void {
    const parsed = parseDeviceControl(type, payload)
    if (!parsed.ok) faults.push(parsed.detail)
    else if (parsed.message.type !== 'hello') events.push(parsed.message)
    for (const listener of listeners) listener()
  }

  socket.on('message', (data: Buffer) => {
    const fault = mux.receive(data)
    if (fault) faults.push(fault.reason)
    for (const listener of listeners) listener()
  })
  socket.on('close', (code) => {
    resolve(code)
    for (const listener of listeners) listener()
  })

  function open(path: string, handler: Partial<StreamHandler>, options: Parameters<V2Peer['open']>[2] = {}) {
    const { kind = 'request', method = 'GET', headers = [], isLast = kind === 'request' } = options
    const stream = mux.open({ method, path, headers }, kind, isLast, {
      data: () => undefined,
      end: () => undefined,
      reset: () => undefined,
      writable: () => undefined,
      ...handler,
    })
    if (!stream) throw new Error('no free stream')
    return stream
  }

  return {
    socket,
    hello,
    events,
    faults,
    closed,
    get mux() {
      return mux
    },
    welcome({ resumed, extra = {} } = {}) {
      const wants = hello.credentials?.features?.includes('resume')
      socket.send(
        controlMessage({
          type: 'welcome',
          ...REGISTERED,
          rx_window: WINDOW.stream,
          rx_budget: WINDOW.connection,
          ...(wants ? { session: SESSION } : {}),
          ...(resumed ? { resumed: { seq: resumed.mux.lastSeq } } : {}),
          ...extra,
        }),
      )
      if (!resumed) return
      mux = resumed.mux
      Object.assign(wiringOf.get(mux) ?? {}, wiring)
      if (!mux.resume(hello.resume?.seq ?? 0)) throw new Error('can not be resumed')
      pump()
    },
    say(message) {
      const { frame, payload } = encodeControl(message)
      mux.control(frame, payload)
    },
    open,
    ask(path, { method = 'GET', headers = [], body } = {}) {
      const { promise, resolve: answered } = Promise.withResolvers<V2Answer>()
      const answer: V2Answer = { status: 0, headers: [], body: Buffer.alloc(0), trailers: null, reset: null }
      const pieces: Uint8Array[] = []
      const finish = () => answered({ ...answer, body: Buffer.concat(pieces) })
      const stream: MuxStream = open(
        path,
        {
          head: (head) => void Object.assign(answer, head),
          data(bytes) {
            pieces.push(bytes)
            stream.consumed(bytes.length)
          },
          end(trailers) {
            answer.trailers = trailers
            finish()
          },
          reset(code) {
            answer.reset = code
            finish()
          },
        },
        { method, headers, isLast: !body },
      )
      if (body) {
        stream.write(body)
        stream.end()
      }
      return promise
    },
    next(type) {
      const wanted = Promise.withResolvers<Extract<Metrics | Log | CommandResult, { type: typeof type }>>()
      function look(): void {
        const found = events.find((event) => event.type === type && !taken.has(event))
        if (found) {
          taken.add(found)
          listeners.delete(look)
          wanted.resolve(found as Extract<Metrics | Log | CommandResult, { type: typeof type }>)
        } else if (socket.readyState === socket.CLOSED) wanted.reject(new Error(`closed before ${type}`))
      }
      listeners.add(look)
      look()
      return wanted.promise
    },
  }
}

type Wiring = { pump(): void; control(type: FrameType, payload: Uint8Array): void }
const wiringOf = new WeakMap<Mux, Wiring>()

/** Its wiring changes hands when a session goes on over another socket. */
function newMux(hello: Hello, first: Wiring): Mux {
  const wiring = { ...first }
  const mux = createMux({
    role: 'opener',
    maxStreams: hello.credentials?.max_streams ?? 4,
    maxChunk: hello.max_chunk ?? 1_024,
    sendWindow: { stream: hello.rx_window ?? 4_096, connection: hello.rx_budget ?? 4_096 },
    receiveWindow: WINDOW,
    isResumable: true,
    wake: () => void setImmediate(() => wiring.pump()),
    control: (type, payload) => wiring.control(type, payload),
  })
  wiringOf.set(mux, wiring)
  return mux
}
