/** A tunnel of dialect v2: streams of the mux, which goes on over a short loss of the connection if the device can. */
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type { ServerMessage } from '@wmoc/protocol/messages'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import { FRAME, V2_LIMITS } from '@wmoc/protocol/v2/frames'
import type { Welcome } from '@wmoc/protocol/v2/handshake'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import type { Mux } from '@wmoc/protocol/v2/mux'
import { writeControl } from '#src/core/control-v2.ts'
import type { Registration } from '#src/core/control-v2.ts'
import type { Exchange, Exchanges } from '#src/core/exchanges.ts'
import { RECEIVE_WINDOW, StreamsV2 } from '#src/core/streams-v2.ts'
import type { StreamFailure, StreamSink, UpstreamRequest, UpstreamStream } from '#src/core/upstream.ts'
import { requestId } from './request-id.ts'
import { Tunnel } from './tunnel.ts'
import type { TunnelHost, TunnelLink, TunnelOptions } from './tunnel.ts'

/** Without an answer to RST for so long a device is broken: nobody could tell its next stream from this one. */
const RESET_GRACE_MS = 30_000

/** What a device can hold; one object for all that announce the same would save little. */
interface Room {
  readonly streams: number
  readonly chunk: number
  readonly message: number
  readonly window: number
  readonly budget: number
}

export class TunnelV2 extends Tunnel {
  /** Name and secret of the session, if it can be resumed. */
  readonly #sessionId: string | null
  readonly #room: Room
  #mux: Mux | null = null
  #streams: StreamsV2 | null = null
  #isSuspended = false

  constructor(host: TunnelHost, options: TunnelOptions, hello: Registration) {
    super(host, options)
    this.#sessionId = this.hasFeature('resume') ? requestId() : null
    this.#room = roomOf(hello)
  }

  get dialect(): 'v2' {
    return 'v2'
  }
  get maxRequestBody(): number {
    return Infinity
  }
  get takesStreams(): boolean {
    return true
  }
  get takesWebSockets(): boolean {
    return true
  }
  get maxStreams(): number {
    return this.#room.streams
  }
  get isSuspended(): boolean {
    return this.#isSuspended
  }
  /** Bytes that its streams hold. */
  get heldBytes(): number {
    return this.#streams?.heldBytes ?? 0
  }
  protected get exchanges(): Exchanges<Exchange> | null {
    return this.#streams?.exchanges ?? null
  }
  protected override get isAlive(): boolean {
    return this.#isSuspended || this.link.isOpen
  }

  open(request: UpstreamRequest, sink: StreamSink): UpstreamStream | StreamFailure {
    if (!this.isAccepting) return 'device_disconnected'
    return this.#streamsNow().open(request, sink) ?? 'overloaded'
  }

  /** Frames of the device. Words: why it can't go on. */
  override frames(message: Uint8Array): string | null {
    if (this.#mux === null) {
      // Most devices send measurements for hours before anybody asks them something.
      const frames = decodeFrames(message)
      if (typeof frames === 'string') return frames
      if (frames.every(({ type }) => type === FRAME.event || type === FRAME.cmdResult)) {
        for (const { type, payload } of frames) this.link.control(type, payload)
        return null
      }
      this.#streamsNow()
    }
    return this.#mux!.receive(message)?.reason ?? null
  }

  #streamsNow(): StreamsV2 {
    if (this.#streams !== null) return this.#streams
    const { streams, chunk, window, budget } = this.#room
    const mux = createMux({
      role: 'opener',
      maxStreams: streams,
      maxChunk: chunk,
      sendWindow: { stream: window, connection: budget },
      receiveWindow: RECEIVE_WINDOW,
      isResumable: this.#sessionId !== null,
      wake: () => this.host.flushSoon(this),
      control: (type, payload) => this.link.control(type, payload),
    })
    const rules = { ...this.host.streamRules, maxInFlight: streams, cancelGraceMs: RESET_GRACE_MS }
    this.#mux = mux
    this.#streams = new StreamsV2(rules, {
      mux,
      now: () => performance.now(),
      settled: () => this.settled(),
      stuck: () => this.close(CLOSE.malformed),
    })
    if (this.#isSuspended) mux.suspend()
    return this.#streams
  }

  /** Sends what waits, as far as the socket takes it: the rest stays where it is shared out fairly. */
  override flush(): void {
    try {
      this.#flush()
    } catch (error) {
      this.link.broke(error)
    }
  }

  #flush(): void {
    while (this.link.canTake) {
      const message = this.#mux?.pull(this.#room.message) ?? null
      if (message === null) return
      this.link.sendBytes(message)
    }
    this.link.onceDrained()
  }

  /** A frame of its own must fit what the device takes in one message. */
  protected override fits(message: ServerMessage): boolean {
    return writeControl(message).length <= this.#room.message
  }

  /** The socket was lost. False: it can't be taken up again. */
  override suspend(): boolean {
    if (this.#sessionId === null || this.isLeaving) return false
    this.#isSuspended = true
    this.#mux?.suspend()
    return true
  }

  /** Goes on with this session on another socket. False: not this session, or something is missing. */
  resume(link: TunnelLink, given: NonNullable<Registration['resume']>): boolean {
    if (given.session !== this.#sessionId) return false
    if (!this.#isSuspended) {
      // The device noticed the loss first.
      const lost = this.link
      this.suspend()
      lost.release()
    }
    // Also where none was used yet: a device that goes on waits to be given credit anew.
    this.#streamsNow()
    if (this.#mux?.resume(given.seq) !== true) return false
    this.#isSuspended = false
    this.forgetCommands()
    this.link = link
    this.host.flushSoon(this)
    return true
  }

  /** What WELCOME says besides `registered`. */
  welcome(
    isResumed: boolean,
    shard: string,
  ): Pick<Welcome, 'session' | 'shard' | 'resumed' | 'rx_window' | 'rx_budget'> {
    return {
      ...(this.#sessionId === null ? {} : { session: this.#sessionId, shard }),
      ...(isResumed ? { resumed: { seq: this.#mux?.lastSeq ?? 0 } } : {}),
      rx_window: RECEIVE_WINDOW.stream,
      rx_budget: RECEIVE_WINDOW.connection,
    }
  }

  override close(reason: CloseReason): void {
    if (this.#isSuspended) this.host.ended(this, reason)
    else super.close(reason)
  }

  override closed(): void {
    super.closed()
    this.#isSuspended = false
    this.#streams?.closeAll('device_disconnected')
  }

  tickStreams(now: number): void {
    this.#streams?.tick(now)
  }

  invariants(): string[] {
    return [...(this.exchanges?.invariants() ?? []), ...(this.#mux?.invariants() ?? [])]
  }
}

function roomOf({ credentials, max_chunk, max_message, rx_window, rx_budget }: Registration): Room {
  const window = rx_window ?? V2_LIMITS.defaultReceiveWindow
  const message = max_message ?? V2_LIMITS.defaultMaxMessage
  return {
    streams: credentials?.max_streams ?? V1_LIMITS.defaultMaxStreams,
    chunk: Math.min(max_chunk ?? V2_LIMITS.defaultMaxChunk, message - V2_LIMITS.headerBytes),
    message,
    window,
    budget: rx_budget ?? window,
  }
}
