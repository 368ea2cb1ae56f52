/** The tunnel of a controller on another shard, as the user's side sees it: streams over a link. */
import { RESET } from '@wmoc/protocol/v2/frames'
import type { MuxStream } from '@wmoc/protocol/v2/mux'
import type { HeaderBlock } from '#src/core/header-names.ts'
import type {
  StreamFailure,
  StreamSink,
  Upstream,
  UpstreamRequest,
  UpstreamStream,
} from '#src/core/upstream.ts'
import type { TunnelFacts } from './calls.ts'
import { packRequest, packTrailers, targetOf } from './head-codec.ts'
import type { FlushListener, PeerLink } from './link.ts'
import { RemoteAnswer } from './remote-answer.ts'

/** Bytes of a request's body held here, from which the user's side should wait, and until it goes on. */
const HIGH_BYTES = 131_072
const LOW_BYTES = 32_768

export interface RemoteHost {
  /**
   * Finds the controller anew: `lost` is not, or no longer, where it was. Undefined: offline. Rejects when it can't be
   * decided, or too many wait.
   */
  relocate(lost: RemoteUpstream): Promise<Upstream | undefined>
  /** A request leaves for another shard; `isRepeated`: after it was not where it was thought to be. */
  forwarded(isRepeated: boolean): void
}

export class RemoteUpstream implements Upstream {
  readonly controllerId: string
  readonly epoch: number
  readonly maxRequestBody: number
  readonly takesStreams: boolean
  readonly takesWebSockets: boolean
  readonly maxRequestHeader: number
  readonly ownHosts: readonly string[]
  readonly ports: readonly number[]
  /** How requests name it to the other shard. */
  readonly target: readonly string[]
  readonly link: PeerLink
  readonly host: RemoteHost

  constructor(host: RemoteHost, link: PeerLink, controllerId: string, facts: TunnelFacts) {
    this.host = host
    this.link = link
    this.controllerId = controllerId
    this.epoch = facts.epoch
    this.target = targetOf(controllerId, facts.epoch)
    this.maxRequestBody = facts.maxRequestBody ?? Infinity
    this.takesStreams = facts.takesStreams
    this.takesWebSockets = facts.takesWebSockets
    this.maxRequestHeader = facts.maxRequestHeader
    this.ownHosts = facts.ownHosts
    this.ports = facts.ports
  }

  get hop(): 'peer' {
    return 'peer'
  }

  /** The last tries of a request are final: `isRepeated` ends it where others would look elsewhere once more. */
  open(request: UpstreamRequest, sink: StreamSink, isRepeated = false): UpstreamStream | StreamFailure {
    if (request.kind === 'websocket' && !this.takesWebSockets) return 'not_supported'
    const stream = new RemoteStream(this, request, sink, isRepeated)
    return stream.begin() ?? stream
  }
}

/** What the user's side said before it was certain that a device gets it. */
type Said = Uint8Array | { readonly trailers: HeaderBlock | undefined }

/** The asking half of a request; `RemoteAnswer` is the other one. */
export class RemoteStream implements UpstreamStream, FlushListener {
  readonly #upstream: RemoteUpstream
  readonly #request: UpstreamRequest
  readonly #sink: StreamSink
  readonly #isRepeated: boolean
  #answer: RemoteAnswer | null = null
  #stream: MuxStream | null = null
  /** The stream elsewhere, once this one was answered `notHere`. */
  #successor: UpstreamStream | null = null
  /** What must be said again there. Null: a device may have the request, so it is never said again. */
  #said: Said[] | null
  #written = 0
  #hasEnded: boolean
  #isOver = false
  #isBlocked = false
  #isWaiting = false

  constructor(upstream: RemoteUpstream, request: UpstreamRequest, sink: StreamSink, isRepeated: boolean) {
    this.#upstream = upstream
    this.#request = request
    this.#sink = sink
    this.#isRepeated = isRepeated
    this.#said = isRepeated ? null : []
    this.#hasEnded = request.kind === 'bodiless'
  }

  /** A failure: nothing was sent, and nobody will be called. */
  begin(): StreamFailure | null {
    const { link, host, target } = this.#upstream
    const { kind } = this.#request
    if (!link.isUsable) {
      if (this.#isRepeated) return 'device_disconnected'
      void this.#repeat()
      return null
    }
    this.#answer = new RemoteAnswer(this, this.#sink)
    this.#stream = link.open(
      packRequest(target, this.#request),
      kind === 'websocket' ? 'websocket' : 'request',
      kind === 'bodiless',
      this.#answer,
    )
    if (this.#stream === null) return 'overloaded'
    this.#answer.stream = this.#stream
    host.forwarded(this.#isRepeated)
    return null
  }

  write(bytes: Uint8Array): boolean {
    if (this.#successor !== null) return this.#successor.write(bytes)
    if (this.#isOver) return true
    this.#said?.push(bytes)
    this.#written += bytes.length
    this.#stream?.write(bytes)
    return this.#mayGoOn()
  }

  end(trailers?: HeaderBlock): void {
    if (this.#successor !== null) return this.#successor.end(trailers)
    if (this.#isOver) return
    this.#hasEnded = true
    this.#said?.push({ trailers })
    this.#stream?.end(packTrailers(trailers))
  }

  message(bytes: Uint8Array, isBinary: boolean): boolean {
    if (this.#successor !== null) return this.#successor.message(bytes, isBinary)
    if (this.#isOver) return true
    this.#stream?.message(bytes, isBinary)
    return this.#mayGoOn()
  }

  close(code: number, reason: string): void {
    if (this.#successor !== null) return this.#successor.close(code, reason)
    if (this.#isOver) return
    this.#hasEnded = true
    this.#stream?.close(code, reason)
  }

  cancel(): void {
    if (this.#successor !== null) return this.#successor.cancel()
    this.#answer?.abandon()
    this.over()
  }

  drained(): void {
    if (this.#successor !== null) this.#successor.drained()
    else this.#answer?.credit()
  }

  flushed(): boolean {
    if (this.#isOver || this.#stream === null) return true
    this.#noteTaken()
    if (this.#queuedBytes > LOW_BYTES) return false
    this.#isWaiting = false
    this.#unblock()
    return true
  }

  /** A device has the request, or may have it. */
  taken(): void {
    this.#said = null
  }

  /** Nothing follows from the other shard. */
  over(): void {
    this.#isOver = true
    this.#said = null
    // An answer before the end of what was asked: the rest of that is of no use.
    if (!this.#hasEnded) this.#stream?.reset(RESET.cancelled)
  }

  /** The tunnel is not there. True: the request goes elsewhere, and the sink is somebody else's from now on. */
  notHere(): boolean {
    if (this.#said === null || this.#isOver) return false
    this.#stream = null
    this.#answer = null
    void this.#repeat()
    return true
  }

  /** Whether the caller may write more at once; else the sink's `writable` is called later. */
  #mayGoOn(): boolean {
    this.#noteTaken()
    if (this.#queuedBytes <= HIGH_BYTES) return true
    this.#isBlocked = true
    if (!this.#isWaiting && this.#stream !== null) {
      this.#isWaiting = true
      this.#upstream.link.awaitFlush(this)
    }
    return false
  }

  get #queuedBytes(): number {
    return this.#stream?.queuedBytes ?? this.#written
  }

  /**
   * Bytes of the body have left, so the owner gave credit and its tunnel has the request. A tunnel that takes a body whole
   * gets it only at its end, until when it can still be `notHere`.
   */
  #noteTaken(): void {
    if (this.#upstream.takesStreams && this.#queuedBytes < this.#written) this.#said = null
  }

  #unblock(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.#sink.writable()
  }

  async #repeat(): Promise<void> {
    const { host } = this.#upstream
    const found = await host.relocate(this.#upstream).catch(() => 'overloaded' as const)
    if (this.#isOver) return
    const opened = typeof found === 'object' ? this.#openAt(found) : (found ?? 'device_offline')
    const said = this.#said ?? []
    this.#isOver = true
    this.#said = null
    if (typeof opened === 'string') return this.#sink.fail(opened)
    this.#successor = opened
    let mayGoOn = true
    for (const one of said) {
      if (one instanceof Uint8Array) mayGoOn = opened.write(one)
      else opened.end(one.trailers)
    }
    if (mayGoOn) this.#unblock()
  }

  #openAt(found: Upstream): UpstreamStream | StreamFailure {
    return found instanceof RemoteUpstream
      ? found.open(this.#request, this.#sink, true)
      : found.open(this.#request, this.#sink)
  }
}
