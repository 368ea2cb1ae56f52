/** One WebSocket of a user, passed on to the device message by message. */
import { isUtf8 } from 'node:buffer'
import type { Span } from '@wmoc/platform/tracing'
import type { WebSocket } from 'ws'
import { takeFrom } from '#src/core/buckets.ts'
import { buildResponseHead } from '#src/core/response-head.ts'
import type { ResponseContext } from '#src/core/response-head.ts'
import { chosenSubprotocol, closeCode, closeReason, FAILURE_CLOSE } from '#src/core/response-websocket.ts'
import type { DeviceHead, StreamFailure, StreamSink, UpstreamStream } from '#src/core/upstream.ts'
import type { ExchangePorts } from './exchange.ts'
import { FrameAnswer } from './frame-answer.ts'
import type { LiveEntry } from './live.ts'
import type { Principal } from './principal.ts'
import { sendFailure } from './problem.ts'
import type { UpgradeRequest } from './proxy.ts'
import { tellSpans } from './request-spans.ts'
import type { Hop, Outcome } from './traffic.ts'
import type { UserSockets } from './user-sockets.ts'

/** Control frames of a user: a browser sends none by itself. */
const PINGS = { burst: 50, count: 5, periodMs: 1_000 }
/** Pongs are not queued behind more than this. */
const PONG_ROOM_BYTES = 65_536
/** For the other side's close frame. */
const CLOSE_MS = 5_000

export class WebSocketRelay implements StreamSink, LiveEntry {
  readonly principal: Principal
  readonly controllerId: string
  readonly needs = 'WEBSOCKET'
  readonly #ports: ExchangePorts
  readonly #sockets: UserSockets
  readonly #upgrade: UpgradeRequest
  readonly #startedAt: number
  #stream: UpstreamStream | null = null
  #context: ResponseContext | null = null
  #hop: Hop = 'none'
  #traceId = ''
  #leg: Span | null = null
  #socket: WebSocket | null = null
  #isOver = false
  #pingsAt = 0

  constructor(ports: ExchangePorts, sockets: UserSockets, upgrade: UpgradeRequest, startedAt: number) {
    this.#ports = ports
    this.#sockets = sockets
    this.#upgrade = upgrade
    this.#startedAt = startedAt
    this.principal = upgrade.principal
    this.controllerId = upgrade.record.controllerId
    upgrade.socket.once('close', () => this.#userLeft())
  }

  get isOver(): boolean {
    return this.#isOver
  }

  opening(context: ResponseContext, hop: Hop, traceId: string, leg: Span | null): void {
    this.#context = context
    this.#hop = hop
    this.#traceId = traceId
    this.#leg = leg
  }

  opened(stream: UpstreamStream): void {
    this.#stream = stream
    if (this.#isOver) stream.cancel()
  }

  head(message: DeviceHead): boolean {
    if (this.#isOver) return true
    const subprotocol = chosenSubprotocol(message, this.#upgrade.subprotocols)
    if (subprotocol === undefined) return this.#declined(message)
    if (subprotocol === null) {
      this.#ports.violation(this.controllerId, 'subprotocol')
      return false
    }
    this.#count(101, 'ok')
    this.#upgrade.response.detachSocket(this.#upgrade.socket)
    this.#sockets.accept(this.#upgrade, subprotocol, (socket) => this.#begin(socket))
    return true
  }

  message(bytes: Uint8Array, isBinary: boolean): void {
    const socket = this.#socket
    if (this.#isOver || socket === null) return
    this.#ports.traffic.fromDevice(bytes.length)
    // To the user's browser the fault would be ours.
    if (!isBinary && !isUtf8(bytes)) {
      this.#ports.violation(this.controllerId, 'text')
      this.#cancelSoon()
      return this.#close(1011, '')
    }
    socket.send(bytes, { binary: isBinary, compress: false })
  }

  closed(code: number, reason: string): void {
    if (!this.#isOver) this.#close(closeCode(code), closeReason(reason))
  }

  /** What a device sends besides messages means nothing here. */
  data(): void {}

  end(): void {
    this.closed(1005, '')
  }

  fail(failure: StreamFailure): void {
    if (this.#isOver) return
    if (this.#socket !== null) return this.#close(FAILURE_CLOSE[failure], '')
    const { response } = this.#upgrade
    this.#conclude(failure, () => sendFailure(response, failure, this.#ports.isDraining()))
  }

  bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  writable(): void {
    this.#socket?.resume()
  }

  refuse(outcome: Outcome, answer: () => void): void {
    if (this.#isOver) return
    this.#cancelSoon()
    this.#conclude(outcome, answer)
  }

  revoke(): void {
    this.#stream?.cancel()
    this.fail('access_ended')
  }

  leave(): void {
    if (this.#socket === null) return
    this.#stream?.close(1001, '')
    if (!this.#isOver) this.#close(1012, '')
  }

  #begin(socket: WebSocket): void {
    this.#socket = socket
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (this.#isOver) return
      this.#ports.traffic.toDevice(data.length)
      if (this.#stream?.message(data, isBinary) === false) socket.pause()
    })
    socket.on('ping', (data: Buffer) => this.#ponged(socket, data))
    socket.on('close', (code: number, reason: Buffer) => this.#userClosed(code, reason))
    // A close follows and says it all.
    socket.on('error', () => undefined)
    this.#upgrade.socket.on('drain', () => this.#stream?.drained())
  }

  #ponged(socket: WebSocket, data: Buffer): void {
    if (this.#isOver) return
    const taken = takeFrom(this.#pingsAt, PINGS, performance.now())
    this.#pingsAt = taken.arrivalAt
    if (taken.retryAfterMs > 0 || socket.bufferedAmount > PONG_ROOM_BYTES) {
      this.#stream?.close(1001, '')
      this.#close(1008, '')
    } else socket.pong(data)
  }

  /** The device refused: its status and headers, without what it says besides. */
  #declined(message: DeviceHead): boolean {
    const head = buildResponseHead(message, this.#context!)
    if (!head.ok) {
      this.#ports.violation(this.controllerId, head.reason)
      return false
    }
    this.refuse('ok', () => {
      const { response, surface, extraHeaders } = this.#upgrade
      const answer = surface === 'frame' ? new FrameAnswer(response, false) : response
      const framing = head.isBodiless ? [] : ['Content-Length', '0']
      answer.writeHead(head.status, [...head.headers, ...extraHeaders, ...framing])
      answer.end()
    })
    return true
  }

  #userClosed(code: number, reason: Buffer): void {
    if (this.#isOver) return
    this.#over()
    if (code === 1006) this.#stream?.cancel()
    else this.#stream?.close(code === 1005 ? 1000 : code, reason.toString())
  }

  /** Before there was a WebSocket; later its own close says with which code. */
  #userLeft(): void {
    if (this.#isOver || this.#socket !== null) return
    this.#over()
    this.#stream?.cancel()
    this.#count(0, 'user_left')
  }

  #close(code: number | undefined, reason: string): void {
    this.#over()
    const socket = this.#socket
    if (socket === null) return
    socket.resume()
    socket.close(code, reason)
    // A reader that stands still is not waited for.
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }

  #conclude(outcome: Outcome, answer: () => void): void {
    this.#over()
    answer()
    const { response } = this.#upgrade
    this.#count(response.headersSent ? response.statusCode : 0, outcome)
    this.#ports.ended(this.controllerId, outcome)
  }

  #over(): void {
    this.#isOver = true
    this.#ports.live.left(this)
  }

  /** Of the handshake: how long a WebSocket lives is no measure of anything. */
  #count(status: number, outcome: Outcome): void {
    const seconds = (performance.now() - this.#startedAt) / 1_000
    const { request, span } = this.#upgrade
    const hop = this.#hop
    if (span !== null) tellSpans(span, this.#leg, { status, outcome, hop })
    const traceId = this.#traceId
    this.#ports.traffic.finished({ method: request.method!, status, outcome, hop, seconds, traceId })
  }

  #cancelSoon(): void {
    process.nextTick(() => this.#stream?.cancel())
  }
}
