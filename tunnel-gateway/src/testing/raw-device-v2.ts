/** A device of dialect v2 reduced to its socket and the stream machine: a test says what it sends and sees what came. */
import { once } from 'node:events'
import { controlMessage, parseServerControl } from '@wmoc/protocol/v2/control-codec'
import type { DeviceControl, ServerControl } from '@wmoc/protocol/v2/control-codec'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import type { FrameType, ResetCode } from '@wmoc/protocol/v2/frames'
import type { Hello } from '@wmoc/protocol/v2/handshake'
import type { HeaderList, Mux, MuxStream, RequestHead } from '@wmoc/protocol/v2/mux'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'
import type { KnownController } from './control-plane-server.ts'

type Said<Type extends ServerControl['type']> = Extract<ServerControl, { type: Type }>

/** A request as it came, and the stream to answer it on. */
export interface Asked {
  readonly request: RequestHead
  readonly kind: 'request' | 'websocket'
  readonly stream: MuxStream
  /** `data 5`, `end`, `reset 1`, `message text hello`, `closed 1000`, `writable`, `over`: in order. */
  readonly log: string[]
  readonly body: Buffer[]
  trailers: HeaderList | null
  /** Whether bytes that come are given credit for at once; true unless a test says otherwise. */
  isReading: boolean
}

/** What outlives a connection that is resumed. */
interface Session {
  readonly asked: Asked[]
  taken: number
  handler: ((asked: Asked) => void) | null
  flush(): void
  control(type: FrameType, payload: Uint8Array): void
  wake(): void
}

export interface RawDeviceV2 {
  readonly session: Session
  readonly socket: WebSocket
  readonly mux: Mux
  readonly closed: Promise<{ code: number; reason: string }>
  /** Every frame of stream 0, as it came. */
  readonly said: readonly ServerControl[]
  /** Lengths of the messages that came. */
  readonly messageBytes: readonly number[]
  readonly asked: readonly Asked[]
  /** The faults that its own machine saw in what came. */
  readonly faults: readonly string[]
  send(bytes: Uint8Array): void
  control(message: DeviceControl): void
  /** The next frame of this kind that no earlier call took. */
  next<Type extends ServerControl['type']>(type: Type, timeoutMs?: number): Promise<Said<Type>>
  nextRequest(timeoutMs?: number): Promise<Asked>
  /** Called for every request from now on. */
  serve(handler: (asked: Asked) => void): void
  /** Without a close frame. */
  stop(): void
}

export interface DeviceV2Options {
  readonly path?: string
  readonly client?: ClientOptions
  readonly maxStreams?: number
  readonly window?: { readonly stream: number; readonly connection: number }
  readonly isResumable?: boolean
  /** `isReading` of requests as they come. */
  readonly isReading?: boolean
  /** Of an earlier connection, to resume. */
  readonly earlier?: RawDeviceV2
}

/** Opens the socket; HELLO is the test's to send. */
export async function connectDeviceV2(port: number, options: DeviceV2Options = {}): Promise<RawDeviceV2> {
  const url = `ws://127.0.0.1:${port}${options.path ?? '/tunnel'}`
  const socket = new WebSocket(url, 'wmoc.v2', { perMessageDeflate: false, ...options.client })
  const said: ServerControl[] = []
  const untaken: ServerControl[] = []
  const faults: string[] = []
  const messageBytes: number[] = []
  const waiters = new Set<() => void>()
  const wake = () => {
    for (const waiter of waiters) waiter()
  }
  const session: Session = options.earlier?.session ?? {
    asked: [],
    taken: 0,
    handler: null,
    flush,
    control,
    wake,
  }
  Object.assign(session, { flush, control, wake })
  const { asked } = session

  function control(type: FrameType, payload: Uint8Array): void {
    const parsed = parseServerControl(type, payload)
    if (!parsed.ok) return void faults.push(parsed.detail)
    said.push(parsed.message)
    untaken.push(parsed.message)
    if (parsed.message.type === 'welcome') welcomed(parsed.message)
    wake()
  }

  function createStreams(receives: { stream: number; connection: number }): Mux {
    return createMux({
      role: 'acceptor',
      maxStreams: options.maxStreams ?? 4,
      maxChunk: 16_384,
      sendWindow: receives,
      receiveWindow: options.window ?? { stream: 4_096, connection: 4_096 },
      isResumable: options.isResumable ?? false,
      wake: () => setImmediate(() => session.flush()),
      control: (type, payload) => session.control(type, payload),
      accept(request, stream, kind) {
        const one: Asked = {
          request,
          kind,
          stream,
          log: [],
          body: [],
          trailers: null,
          isReading: options.isReading ?? true,
        }
        asked.push(one)
        setImmediate(() => {
          if (session.handler === null) return session.wake()
          session.taken += 1
          session.handler(one)
        })
        return listener(one)
      },
    })
  }

  function listener(one: Asked) {
    const { log, stream } = one
    return {
      data(bytes: Uint8Array) {
        log.push(`data ${bytes.length}`)
        one.body.push(Buffer.from(bytes))
        if (one.isReading) stream.consumed(bytes.length)
      },
      end(trailers: HeaderList | null) {
        log.push('end')
        one.trailers = trailers
      },
      reset: (code: ResetCode) => void log.push(`reset ${code}`),
      writable: () => void log.push('writable'),
      message(bytes: Uint8Array, isBinary: boolean, isLast: boolean) {
        const text = isBinary ? `binary ${bytes.length}` : `text ${Buffer.from(bytes).toString()}`
        log.push(`message ${text}${isLast ? '' : ' …'}`)
        stream.consumed(bytes.length)
      },
      closed: (code: number) => void log.push(`closed ${code}`),
      over: () => void log.push('over'),
    }
  }

  // What the gateway lets it send is known with WELCOME; until then nothing is sent on a stream.
  let mux: Mux = options.earlier?.mux ?? createStreams({ stream: 0, connection: 0 })
  function welcomed(welcome: Said<'welcome'>): void {
    if (options.earlier === undefined)
      mux = createStreams({ stream: welcome.rx_window, connection: welcome.rx_budget })
    else if (welcome.resumed !== undefined) mux.resume(welcome.resumed.seq)
    flush()
  }

  function flush(): void {
    for (;;) {
      const message = socket.readyState === socket.OPEN ? mux.pull(65_536) : null
      if (message === null) return
      socket.send(message, { binary: true })
    }
  }

  socket.on('message', (data: Buffer) => {
    messageBytes.push(data.length)
    // WELCOME makes the machine that the frames after it belong to.
    const isGreeting = said.every(({ type }) => type !== 'welcome')
    const frames = isGreeting ? decodeFrames(data) : []
    if (typeof frames === 'string') faults.push(frames)
    else if (isGreeting) for (const { type, payload } of frames) control(type, payload)
    else {
      const fault = mux.receive(data)
      if (fault !== null) faults.push(fault.reason)
    }
    flush()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  )
  socket.on('error', () => undefined)
  await once(socket, 'open')

  function waitFor<T>(what: string, timeoutMs: number, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer)
        waiters.delete(attempt)
      }
      const attempt = () => {
        const found = look()
        if (found === undefined) return
        finish()
        resolve(found)
      }
      const timer = setTimeout(() => {
        finish()
        reject(new Error(`no ${what} in ${timeoutMs} ms; came: ${JSON.stringify(said).slice(0, 500)}`))
      }, timeoutMs)
      waiters.add(attempt)
      attempt()
    })
  }

  return {
    session,
    socket,
    get mux() {
      return mux
    },
    closed,
    said,
    messageBytes,
    asked,
    faults,
    send: (bytes) => socket.send(bytes, { binary: true }),
    control: (message) => socket.send(controlMessage(message), { binary: true }),
    next(type, timeoutMs = 60_000) {
      return waitFor(type, timeoutMs, () => {
        const at = untaken.findIndex((message) => message.type === type)
        return at < 0 ? undefined : (untaken.splice(at, 1)[0] as Said<typeof type>)
      })
    },
    nextRequest: (timeoutMs = 60_000) =>
      waitFor('request', timeoutMs, () =>
        session.taken < asked.length ? asked[session.taken++] : undefined,
      ),
    serve(next) {
      session.handler = next
    },
    stop: () => socket.terminate(),
  }
}

/** A connected, registered device of dialect v2. `hello` is added to its credentials' HELLO. */
export async function onlineV2(
  port: number,
  { record, secret }: KnownController,
  hello: Partial<Hello> = {},
  options: DeviceV2Options = {},
): Promise<RawDeviceV2 & { readonly welcome: Said<'welcome'> }> {
  const maxStreams = hello.credentials?.max_streams ?? 4
  const stream = hello.rx_window ?? 4_096
  const window = { stream, connection: hello.rx_budget ?? stream }
  const isResumable = hello.credentials?.features?.includes('resume') ?? false
  const device = await connectDeviceV2(port, { maxStreams, window, isResumable, ...options })
  const credentials = { controller_id: record.controllerId, secret, ...hello.credentials }
  device.control({ type: 'hello', ...hello, credentials })
  const welcome = await device.next('welcome')
  return Object.assign(device, { welcome })
}

/** Answers whole. */
export function answer(
  asked: Asked,
  body: string | Uint8Array,
  status = 200,
  headers: HeaderList = [],
): void {
  const bytes = Buffer.from(body)
  asked.stream.respond({ status, headers }, bytes.length === 0)
  if (bytes.length === 0) return
  asked.stream.write(bytes)
  asked.stream.end()
}
