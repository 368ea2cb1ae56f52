/** A tunnel of dialect v1: a request and its body are one message, and so the body is collected first. */
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { encodeBody } from '@wmoc/protocol/v1-body'
import { serialise } from '@wmoc/protocol/v1-codec'
import type { HttpResponse, HttpResponseChunk } from '@wmoc/protocol/messages'
import type { Exchange, Exchanges } from '#src/core/exchanges.ts'
import { Streams } from '#src/core/streams.ts'
import type { StreamPorts } from '#src/core/streams.ts'
import { blockOf } from '#src/core/header-names.ts'
import type { StreamFailure, StreamSink, UpstreamRequest, UpstreamStream } from '#src/core/upstream.ts'
import { requestId } from './request-id.ts'
import { Tunnel } from './tunnel.ts'
import type { TunnelHost, TunnelOptions } from './tunnel.ts'

export class TunnelV1 extends Tunnel implements StreamPorts {
  readonly maxRequestBody: number
  readonly #maxStreams: number
  #streams: Streams | null = null
  /** What goes out at the end of this turn, so that requests of many users are one write. */
  #texts: string[] | null = null

  constructor(host: TunnelHost, options: TunnelOptions) {
    super(host, options)
    const { credentials } = options
    this.maxRequestBody = credentials?.max_request_body ?? V1_LIMITS.defaultMaxRequestBody
    this.#maxStreams = credentials?.max_streams ?? V1_LIMITS.defaultMaxStreams
  }

  get dialect(): 'v1' {
    return 'v1'
  }
  get takesStreams(): boolean {
    return false
  }
  get takesWebSockets(): boolean {
    return false
  }
  get maxStreams(): number {
    return this.#maxStreams
  }
  protected get exchanges(): Exchanges<Exchange> | null {
    return this.#streams?.exchanges ?? null
  }

  open(request: UpstreamRequest, sink: StreamSink): UpstreamStream | StreamFailure {
    if (request.kind === 'websocket') return 'not_supported'
    if (!this.isAccepting) return 'device_disconnected'
    this.#streams ??= new Streams({ ...this.host.streamRules, maxInFlight: this.#maxStreams }, this)
    if (!this.#streams.exchanges.hasRoom) return 'overloaded'
    const stream = new V1Stream(this, request, sink)
    if (request.kind === 'bodiless') stream.end()
    return stream
  }

  /** Sends a whole request, or lets it wait. */
  ask(id: string, request: UpstreamRequest, body: Uint8Array, sink: StreamSink): StreamFailure | null {
    // The device may have gone while the body arrived.
    if (this.#streams === null || !this.link.isOpen) return 'device_disconnected'
    const { method, path, isLate = false } = request
    const headers = blockOf(request.headers)
    const message = serialise({ type: 'http_request', id, method, path, headers, ...encodeBody(body) })
    return this.#streams.open({ id, message, isLate }, sink, performance.now()) ? null : 'overloaded'
  }

  override response(message: HttpResponse | HttpResponseChunk): void {
    if (this.#streams === null) this.host.oddity('unknown_id')
    else this.#streams.receive(message, performance.now())
  }

  cancel(id: string): void {
    this.#streams?.cancel(id, performance.now())
  }

  drained(): void {
    this.#streams?.drained()
  }

  tickStreams(now: number): void {
    this.#streams?.tick(now)
  }

  invariants(): string[] {
    return this.#streams?.invariants() ?? []
  }

  // What the streams need.
  send(text: string): void {
    if (this.#texts === null) this.host.flushSoon(this)
    this.#texts ??= []
    this.#texts.push(text)
  }
  override flush(): void {
    const texts = this.#texts
    this.#texts = null
    if (texts !== null) this.link.sendTexts(texts)
  }
  pause(isPaused: boolean): void {
    this.link.pause(isPaused)
  }
  oddity(kind: 'unknown_id' | 'out_of_order' | 'bad_body'): void {
    this.host.oddity(kind)
  }
}

const EMPTY = new Uint8Array(0)

class V1Stream implements UpstreamStream {
  readonly #tunnel: TunnelV1
  readonly #request: UpstreamRequest
  readonly #sink: StreamSink
  readonly #id = requestId()
  #chunks: Uint8Array[] = []
  #size = 0
  #isOver = false

  constructor(tunnel: TunnelV1, request: UpstreamRequest, sink: StreamSink) {
    this.#tunnel = tunnel
    this.#request = request
    this.#sink = sink
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isOver) return true
    this.#size += bytes.length
    if (this.#size > this.#tunnel.maxRequestBody) this.#fail('not_supported')
    else this.#chunks.push(bytes)
    return true
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const chunks = this.#chunks
    const body = chunks.length === 0 ? EMPTY : chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    this.#chunks = []
    const failure = this.#tunnel.ask(this.#id, this.#request, body, this.#sink)
    if (failure !== null) this.#sink.fail(failure)
  }

  #fail(failure: StreamFailure): void {
    this.#isOver = true
    this.#chunks = []
    this.#sink.fail(failure)
  }

  cancel(): void {
    this.#isOver = true
    this.#chunks = []
    this.#tunnel.cancel(this.#id)
  }

  drained(): void {
    this.#tunnel.drained()
  }

  message(): boolean {
    return true
  }

  close(): void {}
}
