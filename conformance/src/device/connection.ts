/** One connection of the device under test; the kit is its gateway. */
import { setImmediate } from 'node:timers'
import type { WebSocket } from 'ws'
import type {
  CommandResult,
  DeviceCredentials,
  Log,
  Metrics,
  Registered,
  ServerMessage,
} from '@wmoc/protocol/messages'
import { parseClientMessage, serialise } from '@wmoc/protocol/v1-codec'
import {
  controlMessage,
  encodeControl,
  parseDeviceControl,
  type ServerControl,
} from '@wmoc/protocol/v2/control-codec'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { Hello } from '@wmoc/protocol/v2/handshake'
import type { Mux } from '@wmoc/protocol/v2/mux'
import type { Feature } from '#src/case.ts'
import { muxTransport } from '#src/transports/mux-transport.ts'
import type { Transport } from '#src/transports/transport.ts'
import { v1Transport } from '#src/transports/v1-transport.ts'

/** What a device says by itself after it was greeted. */
export type DeviceEvent = Metrics | Log | CommandResult

export interface Greeting {
  readonly window: number
  readonly budget: number
  /** A secret to store from now on. */
  readonly credentials?: Registered['credentials']
  readonly controllerId: string
  readonly epoch: number
  /** Streams that may be opened beyond what the device announced. */
  readonly surplus?: number
  /** An earlier connection whose session goes on. */
  readonly resumes?: DeviceConnection
}

export interface DeviceConnection {
  readonly dialect: 'v1' | 'v2'
  readonly socket: WebSocket
  /** How the device introduced itself. */
  readonly introduction: { readonly token?: string; readonly credentials?: DeviceCredentials }
  readonly hello: Hello | null
  readonly transport: Transport
  /** Null in v1. */
  readonly mux: Mux | null
  readonly closed: Promise<number>
  /** What was wrong in what came; empty when nothing was. */
  readonly faults: string[]
  /** Everything the device said by itself. */
  readonly events: DeviceEvent[]
  say(message: Exclude<ServerMessage, { type: 'registered' }>): void
  /** The first event that passes; waits for one. */
  event<Type extends DeviceEvent['type']>(
    type: Type,
    passes?: (event: Extract<DeviceEvent, { type: Type }>) => boolean,
  ): Promise<Extract<DeviceEvent, { type: Type }>>
}

const MAX_MESSAGE = 262_144
const DEFAULT_STREAMS = 4
export const SESSION = 'conformance-kit-session-0001'

const LIMITS = {
  maxMessageBytes: MAX_MESSAGE,
  maxStreams: 256,
  maxRequestBody: 16_777_216,
  maxResponseBody: 65_536,
  maxItemsPerBatch: 500,
}

/** What the device announced that cases can need. */
function abilities(credentials: DeviceCredentials | undefined, dialect: 'v1' | 'v2'): Feature[] {
  const announced = credentials?.features ?? []
  return [
    dialect,
    ...(announced.includes('overlap') ? (['overlap'] as const) : []),
    ...(dialect === 'v2' && announced.includes('resume') ? (['resume'] as const) : []),
    ...(dialect === 'v2' ? (['stream', 'websocket', 'trailers', 'backpressure'] as const) : []),
  ]
}

function welcomeOf(greeting: Greeting): Omit<Registered, 'type'> {
  return {
    controllerId: greeting.controllerId,
    status: 'active',
    ...(greeting.credentials ? { credentials: greeting.credentials } : {}),
    epoch: greeting.epoch,
    heartbeatSec: 25,
    serverTimeMs: Date.now(),
    limits: LIMITS,
  }
}

/** Events that came, and those who wait for one. */
function eventLog() {
  const events: DeviceEvent[] = []
  const waiters = new Set<() => void>()
  return {
    events,
    add(event: DeviceEvent) {
      events.push(event)
      for (const waiter of waiters) waiter()
    },
    wait<Type extends DeviceEvent['type']>(
      type: Type,
      passes: (event: Extract<DeviceEvent, { type: Type }>) => boolean = () => true,
    ) {
      type Wanted = Extract<DeviceEvent, { type: Type }>
      return new Promise<Wanted>((resolve) => {
        const look = () => {
          const found = events.find(
            (event): event is Wanted => event.type === type && passes(event as Wanted),
          )
          if (!found) return
          waiters.delete(look)
          resolve(found)
        }
        waiters.add(look)
        look()
      })
    },
  }
}

function closing(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.once('close', resolve))
}

export function connectionV1(
  socket: WebSocket,
  introduction: DeviceConnection['introduction'],
  greeting: Greeting,
): DeviceConnection {
  const { credentials } = introduction
  const log = eventLog()
  const faults: string[] = []
  const send = (message: ServerMessage) => socket.send(serialise(message))
  const transport = v1Transport(send, {
    maxStreams: credentials?.max_streams ?? DEFAULT_STREAMS,
    maxRequestBody: credentials?.max_request_body ?? 8_192,
  })
  socket.on('message', (data: Buffer) => {
    const parsed = parseClientMessage(data)
    if (!parsed.ok) faults.push(parsed.detail)
    else if (parsed.message.type === 'http_response' || parsed.message.type === 'http_response_chunk')
      transport.answered(parsed.message)
    else if (parsed.message.type === 'register') faults.push('a second register')
    else log.add(parsed.message)
  })
  const closed = closing(socket)
  void closed.then(() => transport.lost())
  send({ type: 'registered', ...welcomeOf(greeting) })
  return {
    dialect: 'v1',
    socket,
    introduction,
    hello: null,
    transport: { ...transport, can: new Set(abilities(credentials, 'v1')) },
    mux: null,
    closed,
    faults,
    events: log.events,
    say: send,
    event: log.wait,
  }
}

interface Wiring {
  socket: WebSocket
  flush(): void
}
const wirings = new WeakMap<Mux, Wiring>()

export function connectionV2(socket: WebSocket, hello: Hello, greeting: Greeting): DeviceConnection {
  const { resumes } = greeting
  const log = eventLog()
  const faults: string[] = []
  const maxStreams = hello.credentials?.max_streams ?? DEFAULT_STREAMS
  const control = (type: Parameters<typeof parseDeviceControl>[0], payload: Uint8Array) => {
    const parsed = parseDeviceControl(type, payload)
    if (!parsed.ok) faults.push(parsed.detail)
    else if (parsed.message.type === 'hello') faults.push('a second HELLO')
    else log.add(parsed.message)
  }
  const wiring: Wiring = {
    socket,
    flush() {
      const limit = hello.max_message ?? 4_096
      for (let message = mux.pull(limit); message; message = mux.pull(limit)) wiring.socket.send(message)
    },
  }
  const isResumable = hello.credentials?.features?.includes('resume') ?? false
  const mux: Mux =
    resumes?.mux ??
    createMux({
      role: 'opener',
      maxStreams: maxStreams + (greeting.surplus ?? 0),
      maxChunk: hello.max_chunk ?? 1_024,
      sendWindow: { stream: hello.rx_window ?? 4_096, connection: hello.rx_budget ?? 4_096 },
      receiveWindow: { stream: greeting.window, connection: greeting.budget },
      isResumable,
      wake: () => void setImmediate(() => wirings.get(mux)?.flush()),
      control,
    })
  const earlier = wirings.get(mux)
  if (earlier) earlier.socket = socket
  else wirings.set(mux, wiring)
  socket.on('message', (data: Buffer, isBinary) => {
    const fault = isBinary ? mux.receive(data) : { reason: 'text_message' }
    if (data.length > MAX_MESSAGE) faults.push('message_too_big')
    if (fault) faults.push(fault.reason)
    wirings.get(mux)?.flush()
  })
  const closed = closing(socket)
  void closed.then(() => isResumable || mux.closeAll(RESET.disconnected))
  socket.send(
    controlMessage({
      type: 'welcome',
      ...welcomeOf(greeting),
      rx_window: greeting.window,
      rx_budget: greeting.budget,
      ...(isResumable ? { session: SESSION } : {}),
      ...(resumes ? { resumed: { seq: mux.lastSeq } } : {}),
    }),
  )
  if (resumes && !mux.resume(hello.resume?.seq ?? 0)) faults.push('the session can not be resumed')
  wirings.get(mux)?.flush()
  return {
    dialect: 'v2',
    socket,
    introduction: hello,
    hello,
    transport: muxTransport('v2 device', mux, maxStreams, abilities(hello.credentials, 'v2')),
    mux,
    closed,
    faults,
    events: log.events,
    say(message) {
      const { frame, payload } = encodeControl(message as Exclude<ServerControl, { type: 'welcome' }>)
      mux.control(frame, payload)
    },
    event: log.wait,
  }
}
