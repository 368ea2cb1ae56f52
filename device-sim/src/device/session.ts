/**
 * The tunnel session of one controller, dialect v1: events in, effects out. Pure; the socket and the timers belong to
 * the shell around it.
 *
 * Credentials live in two slots: the one that was accepted last, and the next one that a rotation brought. The next is
 * tried first and becomes the current when it is accepted, so a power cut at any step leaves one that works.
 */
import type {
  ClientMessage,
  DeviceCredentials,
  GoAway,
  Registered,
  ServerMessage,
} from '@wmoc/protocol/messages'
import { fullJitterMs } from '@wmoc/protocol/backoff'
import { CLOSE } from '@wmoc/protocol/close-codes'

export type Credentials = { controller_id: string; secret: string }

/** What is stored across power cuts. */
export type CredentialSlots = { current: Credentials | null; next: Credentials | null }

export type SessionPhase = 'offline' | 'registering' | 'waiting_for_claim' | 'online' | 'stopped'

export type SessionState = CredentialSlots & {
  phase: SessionPhase
  token: string | null
  /** Slot of the try under way. */
  offered: 'token' | 'current' | 'next' | 'none'
  /** The next slot was refused: the following try offers the current one. */
  nextRefused: boolean
  /** Tries in a row that did not get online. */
  failures: number
  /** The server named a time to come back; its close then plans nothing more. */
  reconnectPlanned: boolean
  /** Last words of the server before it closes. */
  hint: { afterMs: number | null; slow: boolean } | null
}

export type SessionEvent =
  | { type: 'opened' }
  | { type: 'message'; message: ServerMessage }
  | { type: 'closed'; code: number }
  /** The time asked for by `connect_after` is over. */
  | { type: 'due' }
  | { type: 'stop' }

export type SessionEffect =
  | { type: 'send'; message: ClientMessage }
  | { type: 'save'; slots: CredentialSlots }
  | { type: 'connect' }
  | { type: 'connect_after'; afterMs: number }
  | { type: 'close' }
  | { type: 'activation_required'; message: Extract<ServerMessage, { type: 'activation_required' }> }
  | { type: 'registered'; message: Registered; issued: Credentials | null }
  | { type: 'draining'; message: GoAway }
  | {
      type: 'deliver'
      message: Extract<ServerMessage, { type: 'http_request' | 'http_cancel' | 'command' | 'ack' }>
    }
  | { type: 'stopped'; reason: 'revoked' | 'asked' }

export type SessionInput = {
  /** What the device says of itself; no secrets. */
  description: DeviceCredentials
  /** In [0, 1), fresh for each event. */
  random: number
}

export type SessionStep = { state: SessionState; effects: SessionEffect[] }

const BACKOFF = { baseMs: 1_000, capMs: 60_000 }
/** After a refusal that only a person can mend. */
const SLOW_BACKOFF = { baseMs: 60_000, capMs: 900_000 }
const SLOW_CODES: ReadonlySet<number> = new Set([
  CLOSE.unauthorized.code,
  CLOSE.superseded.code,
  CLOSE.conflict.code,
])

/** A session that has not been on the wire yet; `stop` ends it, `due` starts it. */
export function newSession(slots: CredentialSlots, token: string | null): SessionState {
  return {
    ...slots,
    phase: 'offline',
    token: slots.current ? null : token,
    offered: 'none',
    nextRefused: false,
    failures: 0,
    reconnectPlanned: false,
    hint: null,
  }
}

/** One event in; the new state and what the shell must do, in order. Events after `stop` change nothing. */
export function stepSession(state: SessionState, event: SessionEvent, input: SessionInput): SessionStep {
  if (state.phase === 'stopped') return { state, effects: [] }
  switch (event.type) {
    case 'opened':
      return onOpened(state, input)
    case 'message':
      return onMessage(state, event.message)
    case 'closed':
      return onClosed(state, event.code, input.random)
    case 'due':
      return onDue(state)
    default:
      return {
        state: { ...state, phase: 'stopped' },
        effects: [{ type: 'close' }, { type: 'stopped', reason: 'asked' }],
      }
  }
}

function onOpened(state: SessionState, { description }: SessionInput): SessionStep {
  const slot = state.next && !state.nextRefused ? 'next' : state.current ? 'current' : null
  const offered = slot ?? (state.token ? 'token' : 'none')
  const message: ClientMessage = {
    type: 'register',
    ...(offered === 'token' && state.token ? { token: state.token } : {}),
    credentials: { ...description, ...(slot ? state[slot] : {}) },
  }
  return {
    state: { ...state, phase: 'registering', offered, hint: null },
    effects: [{ type: 'send', message }],
  }
}

function onMessage(state: SessionState, message: ServerMessage): SessionStep {
  switch (message.type) {
    case 'activation_required':
      return {
        state: { ...state, phase: 'waiting_for_claim', failures: 0 },
        effects: [{ type: 'activation_required', message }],
      }
    case 'registered':
      return onRegistered(state, message)
    case 'goaway':
      return {
        state: { ...state, reconnectPlanned: true },
        effects: [
          { type: 'draining', message },
          { type: 'connect_after', afterMs: message.reconnectAfterMs },
        ],
      }
    case 'error': {
      const hint = { afterMs: message.reconnectAfterMs ?? null, slow: !message.retryable }
      return { state: { ...state, hint }, effects: [] }
    }
    default:
      return { state, effects: [{ type: 'deliver', message }] }
  }
}

function onRegistered(state: SessionState, message: Registered): SessionStep {
  const issued = message.credentials ?? null
  const proven: CredentialSlots =
    state.offered === 'next' ? { current: state.next, next: null } : { current: state.current, next: null }
  const slots: CredentialSlots =
    proven.current && issued ? { ...proven, next: issued } : { ...proven, current: proven.current ?? issued }
  const isChanged = slots.current !== state.current || slots.next !== state.next
  const effects: SessionEffect[] = [{ type: 'registered', message, issued }]
  // Saved before anybody is told: a power cut right after must not lose the only copy.
  if (isChanged) effects.unshift({ type: 'save', slots })
  return {
    state: { ...state, ...slots, phase: 'online', token: null, nextRefused: false, failures: 0, hint: null },
    effects,
  }
}

function onClosed(state: SessionState, code: number, random: number): SessionStep {
  if (code === CLOSE.revoked.code) {
    return { state: { ...state, phase: 'stopped' }, effects: [{ type: 'stopped', reason: 'revoked' }] }
  }
  const offline: SessionState = { ...state, phase: 'offline', hint: null }
  if (state.reconnectPlanned) return { state: offline, effects: [] }
  if (code === CLOSE.unauthorized.code && state.offered === 'next') {
    return { state: { ...offline, nextRefused: true }, effects: [{ type: 'connect_after', afterMs: 0 }] }
  }
  const isSlow = SLOW_CODES.has(code) || state.hint?.slow === true
  const waitMs = fullJitterMs({ attempt: state.failures, random, ...(isSlow ? SLOW_BACKOFF : BACKOFF) })
  // The server's time is obeyed; ours only lengthens it when this keeps failing.
  const afterMs = (state.hint?.afterMs ?? 0) + waitMs
  return {
    state: { ...offline, nextRefused: false, failures: state.failures + 1 },
    effects: [{ type: 'connect_after', afterMs }],
  }
}

function onDue(state: SessionState): SessionStep {
  const isOpen = state.phase !== 'offline'
  return {
    state: { ...state, phase: 'offline', reconnectPlanned: false },
    effects: isOpen ? [{ type: 'close' }, { type: 'connect' }] : [{ type: 'connect' }],
  }
}
