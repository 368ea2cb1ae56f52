/**
 * The conversation on one device's socket as a pure machine, in either dialect: messages and time in, calls of its
 * ports out. It knows the order of messages, their rate, the heartbeat and why to close; it holds no socket, timer or clock.
 *
 * new ── register ─► registering ─► registered
 *                        │  ▲
 *                        ▼  │ a person confirmed the code
 *                      claiming
 */
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type {
  ClientMessage,
  CommandResult,
  HttpResponse,
  HttpResponseChunk,
  Log,
  Metrics,
  ServerMessage,
} from '@wmoc/protocol/messages'
import { parseClientMessage, serialise } from '@wmoc/protocol/v1-codec'
import type { Parsed } from '@wmoc/protocol/v1-codec'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import { takeFrom } from './buckets.ts'
import type { BucketRule } from './buckets.ts'
import { readControl, writeControl } from './control-v2.ts'
import type { Registration, Welcoming } from './control-v2.ts'

export interface SessionPorts {
  readonly dialect: 'v1' | 'v2'
  sendText(text: string): void
  /** Whole frames of dialect v2. */
  sendBytes(bytes: Uint8Array): void
  ping(): void
  /** Ends the socket. */
  closeSocket(reason: CloseReason): void
  register(message: Registration): void
  /** Frames of a registered v2 device; `control` is called for those of the connection. Words: why it can't go on. */
  frames(message: Uint8Array): string | null
  response(message: HttpResponse | HttpResponseChunk): void
  ingest(message: Metrics | Log, bytes: number): void
  commandResult(message: CommandResult): void
}

export interface SessionRules {
  readonly registerTimeoutMs: number
  /** Between two pings, on average. */
  readonly heartbeatMs: number
  /** Silence after which a device is gone that never answered a ping. */
  readonly deadAfterMs: number
  /** Messages other than responses, which the gateway asked for. */
  readonly messages: BucketRule
}

/** Time for a pong, of the time between two pings: a half-open connection is found within 1.45 × 30 s. */
const PONG_SHARE = 0.45

export type Phase = 'new' | 'registering' | 'claiming' | 'registered' | 'closed'

/** One socket's conversation: order of messages, rate, heartbeat, and why it ends. */
export class TunnelSession {
  readonly #ports: SessionPorts
  readonly #rules: SessionRules
  readonly #openedAt: number
  readonly #pingEveryMs: number
  #heardAt: number
  #pingedAt: number
  #answersPings = false
  #arrivalAt = 0
  #phase: Phase = 'new'

  /**
   * The conversation on a socket that was opened at `openedAt`.
   * @param pingEveryMs This socket's heartbeat, jitter included, so that a fleet does not beat in step.
   */
  constructor(ports: SessionPorts, rules: SessionRules, openedAt: number, pingEveryMs: number) {
    this.#ports = ports
    this.#rules = rules
    this.#openedAt = openedAt
    this.#pingEveryMs = pingEveryMs
    this.#heardAt = openedAt
    this.#pingedAt = openedAt
  }

  get phase(): Phase {
    return this.#phase
  }

  /** One WebSocket message. */
  receive(data: Uint8Array, isBinary: boolean, now: number): void {
    if (this.#phase === 'closed') return
    this.#heardAt = now
    if (this.#ports.dialect === 'v2') return this.#receiveFrames(data, isBinary, now)
    if (isBinary) return this.refuse('binary_message', 'This dialect is text', CLOSE.policy)
    this.#takeParsed(parseClientMessage(data), data.length, now)
  }

  #receiveFrames(data: Uint8Array, isBinary: boolean, now: number): void {
    if (!isBinary) return this.refuse('text_message', 'This dialect is binary', CLOSE.policy)
    if (this.#phase === 'registered') {
      const fault = this.#ports.frames(data)
      if (fault !== null) this.refuse('malformed', fault, CLOSE.malformed)
      return
    }
    const frames = decodeFrames(data)
    if (typeof frames === 'string') return this.refuse('malformed', frames, CLOSE.malformed)
    for (const { type, stream, payload } of frames) {
      if (stream !== 0) return this.refuse('not_registered', 'Register first', CLOSE.policy)
      this.control(type, payload, now)
    }
  }

  /** A frame of the connection itself. */
  control(type: FrameType, payload: Uint8Array, now: number): void {
    if (this.#phase !== 'closed') this.#takeParsed(readControl(type, payload), payload.length, now)
  }

  #takeParsed(parsed: Parsed<ClientMessage | Registration>, bytes: number, now: number): void {
    if (parsed.ok) this.#take(parsed.message, bytes, now)
    else this.refuse(parsed.close.reason, parsed.detail, parsed.close)
  }

  #take(message: ClientMessage | Registration, bytes: number, now: number): void {
    const ports = this.#ports
    if (message.type === 'register') {
      if (this.#phase !== 'new')
        return this.refuse('already_registered', 'One registration per connection', CLOSE.policy)
      this.#phase = 'registering'
      return ports.register(message)
    }
    if (this.#phase !== 'registered') return this.refuse('not_registered', 'Register first', CLOSE.policy)
    if (message.type === 'http_response' || message.type === 'http_response_chunk')
      return ports.response(message)
    if (this.#isTooFast(now)) return this.refuse('too_fast', 'Too many messages', CLOSE.tooFast, 10_000)
    if (message.type === 'command_result') return ports.commandResult(message)
    ports.ingest(message, bytes)
  }

  #isTooFast(now: number): boolean {
    const taken = takeFrom(this.#arrivalAt, this.#rules.messages, now)
    this.#arrivalAt = taken.arrivalAt
    return taken.retryAfterMs > 0
  }

  /** A pong. */
  ponged(now: number): void {
    this.#heardAt = now
    this.#answersPings = true
  }

  /** The device waits for a person. */
  claiming(message: Extract<ServerMessage, { type: 'activation_required' }>): void {
    if (this.#phase !== 'registering' && this.#phase !== 'claiming') return
    this.#phase = 'claiming'
    this.send(message)
  }

  registered(message: Extract<ServerMessage, { type: 'registered' }> | Welcoming): void {
    if (this.#phase !== 'registering' && this.#phase !== 'claiming') return
    this.#phase = 'registered'
    this.send(message)
  }

  send(message: ServerMessage | Welcoming): void {
    if (this.#phase === 'closed') return
    if (this.#ports.dialect === 'v1') this.#ports.sendText(serialise(message))
    else this.#ports.sendBytes(writeControl(message))
  }

  /** Says why in words too, then closes. */
  refuse(code: string, message: string, reason: CloseReason, reconnectAfterMs?: number): void {
    const wait = reconnectAfterMs === undefined ? {} : { reconnectAfterMs }
    this.send({ type: 'error', code, message, retryable: reconnectAfterMs !== undefined, ...wait })
    this.close(reason)
  }

  close(reason: CloseReason): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#ports.closeSocket(reason)
  }

  /** The socket is gone; nothing more is sent. */
  closed(): void {
    this.#phase = 'closed'
  }

  /** To be called about every second. `isReading`: false while nothing is read from the device on purpose. */
  tick(now: number, isReading: boolean): void {
    if (this.#phase === 'closed') return
    if (this.#phase === 'new' && now - this.#openedAt > this.#rules.registerTimeoutMs) {
      return this.refuse('register_timeout', 'No registration in time', CLOSE.registerTimeout, 1_000)
    }
    if (!isReading) this.#heardAt = now
    if (now - this.#heardAt > this.#rules.deadAfterMs || this.#isPongMissing(now))
      return this.close(CLOSE.goingAway)
    if (now - this.#pingedAt >= this.#pingEveryMs) {
      this.#pingedAt = now
      this.#ports.ping()
    }
  }

  /** Of a device that answered one before: nothing came since the last ping. */
  #isPongMissing(now: number): boolean {
    const isWaiting = this.#answersPings && this.#heardAt < this.#pingedAt
    return isWaiting && now - this.#pingedAt > this.#pingEveryMs * PONG_SHARE
  }
}

/** The heartbeat of one socket: `meanMs` ± 20 %. @param random Uniform in [0, 1). */
export function heartbeatMs(meanMs: number, random: number): number {
  return Math.round(meanMs * (0.8 + 0.4 * random))
}
