/**
 * One request and its answer: the user's side of a stream. It frames the answer itself, whatever the device says of
 * length and coding, and an answer that has begun is either whole or visibly cut.
 */
import type { Span } from '@wmoc/platform/tracing'
import { latin1 } from '@wmoc/protocol/v2/header-block'
import { eventTail, firstEventEnd, isBetweenEvents } from '#src/core/response-events.ts'
import type { HeaderBlock } from '#src/core/header-names.ts'
import { buildResponseHead } from '#src/core/response-head.ts'
import type { ResponseContext, ResponseHead } from '#src/core/response-head.ts'
import { allowedTrailers } from '#src/core/trailers.ts'
import type { DeviceHead, StreamFailure, StreamSink, UpstreamStream } from '#src/core/upstream.ts'
import { discardRest } from './body.ts'
import type { BodyPipe } from './body.ts'
import type { LiveEntry, LiveRequests } from './live.ts'
import type { Principal } from './principal.ts'
import { sendFailure } from './problem.ts'
import type { ProxyRequest } from './proxy.ts'
import { tellSpans } from './request-spans.ts'
import type { Hop, Outcome, Traffic } from './traffic.ts'

/** What all exchanges share. */
export interface ExchangePorts {
  readonly live: LiveRequests
  readonly traffic: Traffic
  readonly isDraining: () => boolean
  violation(controllerId: string, reason: string): void
  /** A request that ended otherwise than well. */
  ended(controllerId: string, outcome: Outcome): void
}

const MAX_JOINED_BYTES = 8_192

export class Exchange implements StreamSink, LiveEntry {
  readonly principal: Principal
  readonly controllerId: string
  readonly needs = 'GET'
  readonly #ports: ExchangePorts
  readonly #proxied: ProxyRequest
  readonly #startedAt: number
  #stream: UpstreamStream | null = null
  #body: BodyPipe | null = null
  #context: ResponseContext | null = null
  #hop: Hop = 'none'
  #traceId = ''
  #leg: Span | null = null
  #openedAt = 0
  #headAt = 0
  #isOver = false
  #head: ResponseHead | null = null
  /** Pieces of this turn while the head is not out: what is whole by the end of it goes out as one. */
  #held: Uint8Array[] | null = null
  /** Body bytes that came from the device, and those that went on. */
  #received = 0
  #sent = 0
  /** The length that the user was told, to which the device is held; null: none. */
  #promised: number | null = null
  /** The last piece of a promised length waits for the end: only then is it sure that nothing follows. */
  #last: Uint8Array | null = null
  #tail = ''
  #isLeaving = false
  #hearsDrain = false

  constructor(ports: ExchangePorts, proxied: ProxyRequest, startedAt: number) {
    this.#ports = ports
    this.#proxied = proxied
    this.#startedAt = startedAt
    this.principal = proxied.principal
    this.controllerId = proxied.record.controllerId
    proxied.response.once('close', () => this.#userLeft())
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** To be called before the stream is opened. `traceId`: empty for none. */
  opening(context: ResponseContext, hop: Hop, traceId: string, leg: Span | null): void {
    this.#context = context
    this.#hop = hop
    this.#traceId = traceId
    this.#leg = leg
    this.#openedAt = performance.now()
  }

  opened(stream: UpstreamStream): void {
    this.#stream = stream
    if (this.#isOver) stream.cancel()
  }

  /** The request's body goes on through `pipe` from now on. */
  sending(pipe: BodyPipe): void {
    this.#body = pipe
  }

  head(message: DeviceHead, isLast: boolean): boolean {
    const head = buildResponseHead(message, this.#context!)
    if (!head.ok) {
      this.#ports.violation(this.controllerId, head.reason)
      return false
    }
    this.#head = head
    this.#headAt = performance.now()
    this.#held = []
    this.#proxied.watcher?.answered(head)
    if (head.setCookies.length > 0) this.#proxied.keepCookies?.(head.setCookies)
    if (isLast) return true
    if (head.isBodiless) {
      this.end()
      this.#cancelSoon()
      return true
    }
    this.#promised = head.declaredLength
    // Later than the bytes that came with the head, sooner than those that did not.
    beginSoon(this)
    return true
  }

  data(bytes: Uint8Array): void {
    if (this.#isOver || this.#head!.isBodiless) return
    this.#ports.traffic.fromDevice(bytes.length)
    this.#received += bytes.length
    if (this.#promised !== null && this.#received > this.#promised) this.#lied()
    else if (this.#held === null) this.#write(bytes)
    else this.#held.push(bytes)
  }

  end(trailers?: HeaderBlock): void {
    if (this.#isOver) return
    if (this.#promised !== null && this.#received !== this.#promised) return this.#lied()
    // Trailers come after chunks, not after a body whose length was told (RFC 9112 section 7.1.2).
    if (trailers !== undefined && this.#promised === null && !this.#head!.isBodiless) this.begin()
    this.#isOver = true
    if (this.#held === null) this.#endStreamed(trailers)
    else this.#sendWhole(this.#held)
    const { request } = this.#proxied
    if (!request.complete) {
      this.#body?.stop()
      discardRest(request)
    }
    this.#count('ok')
  }

  fail(failure: StreamFailure): void {
    if (this.#isOver || (failure === 'device_disconnected' && this.#endBetweenEvents())) return
    this.#conclude(failure, () => sendFailure(this.#proxied.response, failure, this.#ports.isDraining()))
  }

  bufferedBytes(): number {
    return this.#proxied.response.writableLength + (this.#held === null ? 0 : this.#received)
  }

  writable(): void {
    this.#body?.resume()
  }

  /** No device answers an ordinary request with messages. */
  message(): void {
    this.refuse('bad_device_response', () =>
      sendFailure(this.#proxied.response, 'bad_device_response', false),
    )
  }

  closed(): void {
    this.message()
  }

  /** The device is told that nobody waits any more, and the user gets what `answer` writes. */
  refuse(outcome: Outcome, answer: () => void): void {
    if (this.#isOver) return
    this.#cancelSoon()
    this.#conclude(outcome, answer)
  }

  revoke(): void {
    this.#stream?.cancel()
    this.#stream = null
    this.fail('access_ended')
  }

  leave(): void {
    this.#isLeaving = true
    this.#endBetweenEvents()
  }

  #conclude(outcome: Outcome, answer: () => void): void {
    this.#isOver = true
    this.#body?.stop()
    answer()
    this.#count(outcome)
    this.#ports.ended(this.controllerId, outcome)
  }

  #count(outcome: Outcome): void {
    const { response, request, span } = this.#proxied
    const hop = this.#hop
    const status = response.headersSent ? response.statusCode : 0
    this.#ports.live.left(this)
    if (span !== null) tellSpans(span, this.#leg, { status, outcome, hop })
    this.#ports.traffic.finished({
      method: request.method!,
      status,
      outcome,
      hop,
      seconds: (performance.now() - this.#startedAt) / 1_000,
      traceId: this.#traceId,
    })
  }

  #userLeft(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#body?.stop()
    this.#stream?.cancel()
    this.#count('user_left')
  }

  /** Not at once: it may be the stream itself that is calling. */
  #cancelSoon(): void {
    process.nextTick(() => this.#stream?.cancel())
  }

  #lied(): void {
    this.#ports.violation(this.controllerId, 'length')
    this.#cancelSoon()
    this.#conclude('bad_device_response', () =>
      sendFailure(this.#proxied.response, 'bad_device_response', false),
    )
  }

  /** @param length Of the body; null: none is told. */
  #writeHead(length: number | null): void {
    const { response, extraHeaders } = this.#proxied
    const deviceMs = this.#headAt - this.#openedAt
    const ownMs = this.#openedAt - this.#startedAt
    const timing = `wmoc;dur=${ownMs.toFixed(1)}, device;dur=${deviceMs.toFixed(1)}`
    const head = this.#head!
    const headers = head.headers.concat(extraHeaders)
    headers.push('Server-Timing', timing)
    if (length !== null) headers.push('Content-Length', String(length))
    response.writeHead(head.status, headers)
  }

  #sendWhole(pieces: readonly Uint8Array[]): void {
    const { isBodiless, status } = this.#head!
    // HEAD and 304 tell the length that the device told; 204 has none (RFC 9110 section 8.6).
    const hasLength = !isBodiless || status === 205
    this.#writeHead(hasLength ? this.#received : null)
    const { response } = this.#proxied
    const body = pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
    // Head and body as one string are one piece to write.
    if (body === undefined || body.length > MAX_JOINED_BYTES) response.end(body)
    else response.end(latin1(body), 'latin1')
  }

  #endStreamed(trailers: HeaderBlock | undefined): void {
    const { response, request } = this.#proxied
    if (trailers !== undefined && this.#promised === null && request.httpVersion !== '1.0') {
      const allowed = allowedTrailers(trailers)
      if (allowed.length > 0) response.addTrailers(inPairs(allowed))
    }
    response.end(this.#last ?? undefined)
  }

  /** Without a length that the device told, Node frames the body in chunks: a cut transfer can't pass for a whole one. */
  begin(): void {
    const pieces = this.#held
    if (this.#isOver || pieces === null) return
    const { response } = this.#proxied
    this.#held = null
    this.#writeHead(this.#promised)
    if (pieces.length === 0) response.flushHeaders()
    response.cork()
    for (const piece of pieces) this.#write(piece)
    response.uncork()
    if (this.#isLeaving) this.#endBetweenEvents()
  }

  #write(bytes: Uint8Array): void {
    this.#sent += bytes.length
    if (this.#sent === this.#promised) {
      this.#last = bytes
      return
    }
    if (this.#head!.isEventStream && this.#writeEvents(bytes)) return
    const { response } = this.#proxied
    if (response.write(bytes) || this.#hearsDrain) return
    this.#hearsDrain = true
    response.on('drain', () => this.#stream?.drained())
  }

  /** True: it was the end of the last event. */
  #writeEvents(bytes: Uint8Array): boolean {
    const endAt = this.#isLeaving ? firstEventEnd(this.#tail, bytes) : -1
    this.#tail = eventTail(this.#tail, endAt < 0 ? bytes : bytes.subarray(0, endAt))
    if (endAt < 0) return false
    this.#proxied.response.write(bytes.subarray(0, endAt))
    return this.#endBetweenEvents()
  }

  #endBetweenEvents(): boolean {
    const isEventStream = this.#head?.isEventStream === true && this.#held === null && this.#promised === null
    if (this.#isOver || !isEventStream || !isBetweenEvents(this.#tail)) return false
    this.#isOver = true
    this.#cancelSoon()
    this.#proxied.response.end()
    this.#count('ok')
    return true
  }
}

/** Answers whose rest does not come with their heads. */
let beginning: Exchange[] = []

/** One tick for all heads of this turn. */
function beginSoon(exchange: Exchange): void {
  if (beginning.length === 0) process.nextTick(beginAll)
  beginning.push(exchange)
}

function beginAll(): void {
  const now = beginning
  beginning = []
  for (const exchange of now) exchange.begin()
}

function inPairs(list: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index < list.length; index += 2) pairs.push([list[index]!, list[index + 1]!])
  return pairs
}
