/**
 * One tunnel's v1 conversation as a pure machine: text and time in, calls of its ports out. It knows the order of
 * messages, their rate, the heartbeat and why to close; it holds no socket, timer or clock.
 *
 * new ── register ─► registering ─► registered
 *                        │  ▲
 *                        ▼  │ a person confirmed the code
 *                      claiming
 */
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type {
  CommandResult,
  HttpResponse,
  HttpResponseChunk,
  Log,
  Metrics,
  Register,
  ServerMessage,
} from '@wmoc/protocol/messages'
import { parseClientMessage, serialise } from '@wmoc/protocol/v1-codec'
import { takeFrom } from './buckets.ts'
import type { BucketRule } from './buckets.ts'

export interface SessionPorts {
  sendText(text: string): void
  ping(): void
  close(reason: CloseReason): void
  register(message: Register): void
  response(message: HttpResponse | HttpResponseChunk): void
  ingest(message: Metrics | Log, bytes: number): void
  commandResult(message: CommandResult): void
}

export interface SessionRules {
  readonly registerTimeoutMs: number
  readonly deadAfterMs: number
  /** Messages other than responses, which the gateway asked for. */
  readonly messages: BucketRule
}

type Phase = 'new' | 'registering' | 'claiming' | 'registered' | 'closed'

export type TunnelSession = ReturnType<typeof createTunnelSession>

/**
 * The conversation on a socket that was opened at `openedAt`.
 * @param pingEveryMs This socket's heartbeat, jitter included, so that a fleet does not beat in step.
 */
export function createTunnelSession(
  ports: SessionPorts,
  rules: SessionRules,
  openedAt: number,
  pingEveryMs: number,
) {
  let phase: Phase = 'new'
  let heardAt = openedAt
  let pingedAt = openedAt
  let arrivalAt = 0

  function close(reason: CloseReason): void {
    if (phase === 'closed') return
    phase = 'closed'
    ports.close(reason)
  }

  function send(message: ServerMessage): void {
    if (phase !== 'closed') ports.sendText(serialise(message))
  }

  /** Says why in words too, then closes. */
  function refuse(code: string, message: string, reason: CloseReason, reconnectAfterMs?: number): void {
    const wait = reconnectAfterMs === undefined ? {} : { reconnectAfterMs }
    send({ type: 'error', code, message, retryable: reconnectAfterMs !== undefined, ...wait })
    close(reason)
  }

  function isTooFast(now: number): boolean {
    const taken = takeFrom(arrivalAt, rules.messages, now)
    arrivalAt = taken.arrivalAt
    return taken.retryAfterMs > 0
  }

  return {
    /** One WebSocket message. */
    receive(data: Uint8Array, isBinary: boolean, now: number): void {
      if (phase === 'closed') return
      heardAt = now
      if (isBinary) return refuse('binary_message', 'This dialect is text', CLOSE.policy)
      const parsed = parseClientMessage(data)
      if (!parsed.ok) return refuse(parsed.close.reason, parsed.detail, parsed.close)
      const { message } = parsed
      if (message.type === 'register') {
        if (phase !== 'new')
          return refuse('already_registered', 'One registration per connection', CLOSE.policy)
        phase = 'registering'
        return ports.register(message)
      }
      if (phase !== 'registered') return refuse('not_registered', 'Register first', CLOSE.policy)
      if (message.type === 'http_response' || message.type === 'http_response_chunk')
        return ports.response(message)
      if (isTooFast(now)) return refuse('too_fast', 'Too many messages', CLOSE.tooFast, 10_000)
      if (message.type === 'command_result') return ports.commandResult(message)
      ports.ingest(message, data.length)
    },

    /** A pong, or any other sign of life. */
    heard(now: number): void {
      heardAt = now
    },

    /** The device waits for a person. */
    claiming(message: Extract<ServerMessage, { type: 'activation_required' }>): void {
      if (phase !== 'registering' && phase !== 'claiming') return
      phase = 'claiming'
      send(message)
    },

    registered(message: Extract<ServerMessage, { type: 'registered' }>): void {
      if (phase !== 'registering' && phase !== 'claiming') return
      phase = 'registered'
      send(message)
    },

    send,
    refuse,
    close,
    /** The socket is gone; nothing more is sent. */
    closed(): void {
      phase = 'closed'
    },

    /** To be called about every second. `isReading`: false while nothing is read from the device on purpose. */
    tick(now: number, isReading: boolean): void {
      if (phase === 'closed') return
      if (phase === 'new' && now - openedAt > rules.registerTimeoutMs) {
        return refuse('register_timeout', 'No registration in time', CLOSE.registerTimeout, 1_000)
      }
      if (!isReading) heardAt = now
      if (now - heardAt > rules.deadAfterMs) return close(CLOSE.goingAway)
      if (now - pingedAt >= pingEveryMs) {
        pingedAt = now
        ports.ping()
      }
    },
    phase: (): Phase => phase,
    heardAt: () => heardAt,
  }
}

/** The heartbeat of one socket: 25 s ± 20 %. @param random Uniform in [0, 1). */
export function heartbeatMs(random: number): number {
  return Math.round(V1_LIMITS.heartbeatSec * 1_000 * (0.8 + 0.4 * random))
}
