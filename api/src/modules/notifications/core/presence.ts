/**
 * When a controller that comes and goes is worth a word. Pure: a state per controller, fed with what the gateway saw
 * and with the passing of time.
 *
 * Promises, whatever the controller does:
 * - in any window of `windowMs` at most `maxInWindow` notices;
 * - "offline" only when it has lasted `offlineAfterMs`; "online" only after an "offline" was told;
 * - once the controller stays as it is, what was told last becomes true: nothing is swallowed for good.
 */
export type Presence = 'online' | 'offline'

export interface PresenceRules {
  readonly offlineAfterMs: number
  readonly onlineAfterMs: number
  readonly windowMs: number
  readonly maxInWindow: number
}

export const PRESENCE_RULES: PresenceRules = {
  offlineAfterMs: 60_000,
  onlineAfterMs: 5_000,
  windowMs: 300_000,
  maxInWindow: 2,
}

/** JSON; kept in `controller_notices.presence`. Times in ms since 1970. */
export interface PresenceState {
  readonly status: Presence
  /** The gateway's time of the last change. */
  readonly since: number
  /** What people believe. A controller nobody was told about counts as online: its coming is no news. */
  readonly told: Presence
  /** Times of the latest notices, oldest first, at most `maxInWindow`. */
  readonly toldAt: readonly number[]
}

/** The state after the gateway saw a change. Older or repeated words change nothing. */
export function observe(state: PresenceState | null, status: Presence, at: number): PresenceState {
  if (!state) return { status, since: at, told: 'online', toldAt: [] }
  if (at <= state.since || status === state.status) return state
  return { ...state, status, since: at }
}

/** When to decide again, ms since 1970; null when people believe what is true. */
export function dueAt(state: PresenceState, rules: PresenceRules): number | null {
  if (state.status === state.told) return null
  const lastedAt = state.since + (state.status === 'offline' ? rules.offlineAfterMs : rules.onlineAfterMs)
  const oldest = state.toldAt.length < rules.maxInWindow ? undefined : state.toldAt.at(-rules.maxInWindow)
  return oldest === undefined ? lastedAt : Math.max(lastedAt, oldest + rules.windowMs)
}

/** What to tell at `now`, and the state after it; `notice` null when there is nothing to tell yet. */
export function decide(
  state: PresenceState,
  now: number,
  rules: PresenceRules,
): { readonly state: PresenceState; readonly notice: { status: Presence; since: number } | null } {
  const due = dueAt(state, rules)
  if (due === null || now < due) return { state, notice: null }
  return {
    state: { ...state, told: state.status, toldAt: [...state.toldAt, now].slice(-rules.maxInWindow) },
    notice: { status: state.status, since: state.since },
  }
}
