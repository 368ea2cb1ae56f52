/** The owner's side of a hop: requests that another shard brings for tunnels of this one. */
import type { Tracing } from '@wmoc/platform/tracing'
import { RESET } from '@wmoc/protocol/v2/frames'
import type { HeaderList, MuxStream, RequestHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import { bytesPassed } from '#src/buffer-garbage.ts'
import type { UpstreamRequest, UpstreamStream } from '#src/core/upstream.ts'
import { resetOf, unpackRequest, unpackTrailers } from './head-codec.ts'
import { STREAM_WINDOW } from './link.ts'
import type { PeerLink } from './link.ts'
import type { LocalTunnel, LocalTunnels } from './local-tunnels.ts'
import { createMessageBuilder } from '#src/core/message-builder.ts'
import type { MessageBuilder } from '#src/core/message-builder.ts'
import { ServedAnswer } from './served-answer.ts'

/** Takes a stream of another shard; answers who listens to it. `endless`: where answers are kept that never end. */
export function serveRequest(
  tunnels: LocalTunnels,
  endless: Set<ServedAnswer>,
  tracing: Tracing | null,
  link: PeerLink,
  head: RequestHead,
  stream: MuxStream,
  kind: 'request' | 'websocket',
  isLast: boolean,
): StreamHandler {
  const packed = unpackRequest(head, kind === 'websocket' ? kind : isLast ? 'bodiless' : 'body')
  if (packed === null) return refuse(stream, RESET.protocol)
  const tunnel = tunnels.get(packed.controllerId)
  if (tunnel === undefined || tunnel.epoch !== packed.epoch || !tunnel.isAccepting)
    return refuse(stream, RESET.notHere)
  const served = new ServedRequest(tunnels, endless, tunnel, packed.request, stream, link)
  if (tracing !== null) served.trace(tracing)
  return served.begin()
}

function refuse(stream: MuxStream, code: typeof RESET.protocol | typeof RESET.notHere): StreamHandler {
  stream.reset(code)
  return deaf
}

const deaf: StreamHandler = { data() {}, end() {}, reset() {}, writable() {} }

/** The asking half; `ServedAnswer` is the other one. */
export class ServedRequest implements StreamHandler {
  readonly #tunnels: LocalTunnels
  readonly #tunnel: LocalTunnel
  #request: UpstreamRequest
  readonly #stream: MuxStream
  readonly #answer: ServedAnswer
  #upstream: UpstreamStream | null = null
  /** The body so far, for a tunnel that takes it only as a whole. */
  #body: Uint8Array[] | null = null
  #size = 0
  /** Bytes that the device's side has not taken yet. */
  #uncredited = 0
  #builder: MessageBuilder | null = null

  constructor(
    tunnels: LocalTunnels,
    endless: Set<ServedAnswer>,
    tunnel: LocalTunnel,
    request: UpstreamRequest,
    stream: MuxStream,
    link: PeerLink,
  ) {
    this.#tunnels = tunnels
    this.#tunnel = tunnel
    this.#request = request
    this.#stream = stream
    this.#answer = new ServedAnswer(this, stream, link, endless)
  }

  /** Takes a place between the other shard and the device, where the request carries a trace. */
  trace(tracing: Tracing): void {
    const headers = [...this.#request.headers]
    const at = headers.findIndex((text, index) => index % 2 === 0 && text === 'traceparent')
    const traceparent = at < 0 ? undefined : headers[at + 1]
    if (traceparent === undefined) return
    const span = tracing.start('serve tunnel', { kind: 'server', parent: traceparent })
    this.#answer.span = span
    headers[at + 1] = span.traceparent
    this.#request = { ...this.#request, headers }
  }

  begin(): this {
    const { kind } = this.#request
    if (kind === 'body' && !this.#tunnel.takesStreams) this.#body = []
    else this.#open()
    if (kind !== 'bodiless' && !this.#answer.isOver) this.#stream.grant(STREAM_WINDOW)
    return this
  }

  data(bytes: Uint8Array): void {
    bytesPassed(bytes.length)
    if (this.#answer.isOver) return
    this.#uncredited += bytes.length
    if (this.#body === null) {
      if (this.#upstream!.write(bytes)) this.credit()
      return
    }
    this.#size += bytes.length
    if (this.#size > this.#tunnel.maxRequestBody) return this.#abandon()
    this.#body.push(bytes)
    this.credit()
  }

  end(trailers: HeaderList | null): void {
    if (this.#answer.isOver || this.#request.kind === 'bodiless') return
    if (this.#body === null) this.#upstream!.end(unpackTrailers(trailers))
    else this.#open()
  }

  message(bytes: Uint8Array, isBinary: boolean, isLast: boolean): void {
    if (this.#answer.isOver) return
    this.#uncredited += bytes.length
    this.#builder ??= createMessageBuilder()
    const whole = this.#builder.add(bytes, isLast)
    if (whole === undefined) return this.#abandon()
    if (whole === null || this.#upstream!.message(whole, isBinary)) this.credit()
  }

  closed(code: number, reason: string): void {
    if (!this.#answer.isOver) this.#upstream!.close(code, reason)
  }

  reset(): void {
    this.#answer.over()
    this.cancel()
  }

  /** Nobody waits for the device's answer any more. */
  cancel(): void {
    this.#upstream?.cancel()
  }

  writable(): void {
    // The answering half goes by what has left the link.
  }

  /** The device's side took what it was given: the other shard may send as much again. */
  credit(): void {
    this.#stream.consumed(this.#uncredited)
    this.#uncredited = 0
  }

  /** Bytes of the answer have left this shard. */
  drained(): void {
    this.#upstream?.drained()
  }

  /** As long as a device can't have got any of it, a tunnel that is gone is `notHere`: the request goes elsewhere. */
  #open(): void {
    const answer = this.#answer
    const tunnel = this.#tunnel
    if (this.#tunnels.get(tunnel.controllerId) !== tunnel) return answer.refuse(RESET.notHere)
    answer.isBeforeDevice = true
    const opened = tunnel.open(this.#request, answer)
    if (typeof opened === 'string') answer.fail(opened)
    else {
      this.#upstream = opened
      this.#sendBody(opened)
    }
    answer.isBeforeDevice = false
  }

  #sendBody(opened: UpstreamStream): void {
    if (this.#body === null) return
    for (const bytes of this.#body) opened.write(bytes)
    this.#body = []
    opened.end()
  }

  #abandon(): void {
    this.#upstream?.cancel()
    this.#answer.refuse(resetOf('not_supported'))
  }
}
