/**
 * The tunnel session of one controller, the same for both dialects: events in, effects out. Pure; the sockets and the
 * timers belong to the shell around it.
 *
 * It follows the newest tunnel only. A device with the feature `overlap` keeps the one before beside it until what was
 * begun there is done; the shell does that alone, since nothing that happens to a tunnel that was left matters here.
 *
 * Credentials live in two slots: the one that was accepted last, and the next one that a rotation brought. The next is
 * tried first and becomes the current when it is accepted, so a power cut at any step leaves one that works.
 */
import type {
  ClientMessage,
  DeviceCredentials,
  DeviceFeature,
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

/** What a gateway says besides requests. */
export type ControlMessage = Exclude<ServerMessage, { type: 'http_request' | 'http_cancel' }>

/** What a device says besides answers. */
export type DeviceMessage = Exclude<ClientMessage, { type: 'http_response' | 'http_response_chunk' }>

export type SessionState = CredentialSlots & {
  phase: SessionPhase
  features: ReadonlySet<DeviceFeature>
  token: string | null
  /** Slot of the try under way. */
  offered: 'token' | 'current' | 'next' | 'none'
  /** The next slot was refused: the following try offers the current one. */
  nextRefused: boolean
  /** Tries in a row that did not get online. */
  failures: number
  /** The server named a time to come back; its close then plans nothing more. */
  reconnectPlanned: boolean
  /** The time to come back is here and requests are in flight: connects as soon as the tunnel is closed. */
  isFinishing: boolean
  /** Where a goaway sends it; for one connection only. */
  shard: string | null
  /** Last words of the server before it closes. */
  hint: { afterMs: number | null; slow: boolean } | null
}

export type SessionEvent =
  | { type: 'opened' }
  | { type: 'message'; message: ControlMessage }
  /** `isResumable`: its streams live on for a moment. */
  | { type: 'closed'; code: number; isResumable?: boolean }
  /** The time asked for by `connect_after` is over. */
  | { type: 'due' }
  | { type: 'stop' }

export type SessionEffect =
  | { type: 'send'; message: Extract<DeviceMessage, { type: 'register' }> }
  | { type: 'save'; slots: CredentialSlots }
  /** `shard`: of that shard's address, not of any. */
  | { type: 'connect'; shard: string | null }
  | { type: 'connect_after'; afterMs: number }
  | { type: 'close' }
  /** The tunnel takes no part any more, and closes when what was begun there is done. Another opens beside it. */
  | { type: 'leave' }
  /** Closes the tunnel once nothing is in flight. */
  | { type: 'finish' }
  | { type: 'activation_required'; message: Extract<ServerMessage, { type: 'activation_required' }> }
  | { type: 'registered'; message: Registered; issued: Credentials | null }
  | { type: 'draining'; message: GoAway }
  | { type: 'deliver'; message: Extract<ServerMessage, { type: 'command' | 'ack' }> }
  | { type: 'stopped'; reason: 'revoked' | 'asked' }

export type SessionInput = {
  /** What the device says of itself; no secrets. */
  description: DeviceCredentials
  /** In [0, 1), fresh for each event. */
  random: number
}

export type SessionStep = { state: SessionState; effects: SessionEffect[] }

const BACKOFF = { baseMs: 1_000, capMs: 60_000 }
/** Streams wait: at once, but not all devices of a shard in the same millisecond. */
const RESUME_SPREAD_MS = 200
/** After a refusal that only a person can mend. */
const SLOW_BACKOFF = { baseMs: 60_000, capMs: 900_000 }
const SLOW_CODES: ReadonlySet<number> = new Set([
  CLOSE.unauthorized.code,
  CLOSE.superseded.code,
  CLOSE.conflict.code,
])

/** A session that has not been on the wire yet; `stop` ends it, `due` starts it. */
export function newSession(
  slots: CredentialSlots,
  token: string | null,
  features: readonly DeviceFeature[] = [],
): SessionState {
  return {
    ...slots,
    phase: 'offline',
    features: new Set(features),
    token: slots.current ? null : token,
    offered: 'none',
    nextRefused: false,
    failures: 0,
    reconnectPlanned: false,
    isFinishing: false,
    shard: null,
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
      return onClosed(state, event, input.random)
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
  const message: Extract<DeviceMessage, { type: 'register' }> = {
    type: 'register',
    ...(offered === 'token' && state.token ? { token: state.token } : {}),
    credentials: { ...description, ...(slot ? state[slot] : {}) },
  }
  return {
    state: { ...state, phase: 'registering', offered, hint: null },
    effects: [{ type: 'send', message }],
  }
}

function onMessage(state: SessionState, message: ControlMessage): SessionStep {
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
        state: {
          ...state,
          reconnectPlanned: true,
          shard: (state.features.has('follow') && message.shard) || null,
        },
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

function onClosed(
  state: SessionState,
  { code, isResumable = false }: { code: number; isResumable?: boolean },
  random: number,
): SessionStep {
  if (code === CLOSE.revoked.code) {
    return { state: { ...state, phase: 'stopped' }, effects: [{ type: 'stopped', reason: 'revoked' }] }
  }
  const offline: SessionState = { ...state, phase: 'offline', hint: null, isFinishing: false }
  if (state.isFinishing) return connect(offline)
  if (state.reconnectPlanned) return { state: offline, effects: [] }
  if (code === CLOSE.unauthorized.code && state.offered === 'next') {
    return { state: { ...offline, nextRefused: true }, effects: [{ type: 'connect_after', afterMs: 0 }] }
  }
  if (isResumable) {
    return {
      state: offline,
      effects: [{ type: 'connect_after', afterMs: Math.floor(random * RESUME_SPREAD_MS) }],
    }
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
  if (state.phase === 'offline') return connect(state)
  if (state.phase !== 'online') {
    const { state: next, effects } = connect(state)
    return { state: next, effects: [{ type: 'close' }, ...effects] }
  }
  if (!state.features.has('overlap')) {
    return { state: { ...state, isFinishing: true, reconnectPlanned: false }, effects: [{ type: 'finish' }] }
  }
  const { state: next, effects } = connect(state)
  return { state: next, effects: [{ type: 'leave' }, ...effects] }
}

/** Whatever becomes of this try, the one after it goes to any shard. */
function connect(state: SessionState): SessionStep {
  return {
    state: { ...state, phase: 'offline', reconnectPlanned: false, shard: null },
    effects: [{ type: 'connect', shard: state.shard }],
  }
}
