/**
 * Tells two devices that fight over one credential from one device that reconnects. A clone shows as an alternation:
 * the identity that was pushed out comes back and pushes out the other. An honest device that reboots or changes its
 * network never returns to an identity it had before in such a row; and one that cannot be told apart by identity shows
 * by pushing out tunnels that were alive a moment ago, again and again.
 */

export interface FlapRules {
  readonly windowMs: number
  readonly alternations: number
  readonly takeovers: number
  readonly penaltyMs: number
}

export const FLAP_RULES: FlapRules = { windowMs: 120_000, alternations: 3, takeovers: 10, penaltyMs: 60_000 }

interface History {
  identities: { readonly identity: string; readonly at: number; readonly isAlternation: boolean }[]
  takeovers: number[]
  blockedUntil: number
}

export type FlapVerdict = 'fine' | 'conflict' | 'blocked'

export type FlapDetector = ReturnType<typeof createFlapDetector>

/** Memory of recent takeovers, by controller. */
export function createFlapDetector(rules: FlapRules = FLAP_RULES) {
  const histories = new Map<string, History>()

  return {
    /** Milliseconds for which the controller is refused; 0: not. */
    blockedForMs(controllerId: string, now: number): number {
      return Math.max(0, (histories.get(controllerId)?.blockedUntil ?? 0) - now)
    },
    /**
     * A registration pushed out a live tunnel.
     * @param before Identity of the tunnel that was pushed out. @param after Identity of the new one.
     * @returns `conflict` once, at the moment both are to be refused.
     */
    takeover(controllerId: string, before: string, after: string, now: number): FlapVerdict {
      const history = histories.get(controllerId) ?? { identities: [], takeovers: [], blockedUntil: 0 }
      histories.set(controllerId, history)
      if (history.blockedUntil > now) return 'blocked'
      const since = now - rules.windowMs
      history.identities = history.identities.filter((entry) => entry.at > since)
      history.takeovers = history.takeovers.filter((at) => at > since)
      history.takeovers.push(now)
      if (history.identities.length === 0)
        history.identities.push({ identity: before, at: now, isAlternation: false })
      const isAlternation = before !== after && history.identities.some((entry) => entry.identity === after)
      history.identities.push({ identity: after, at: now, isAlternation })
      const alternations = history.identities.filter((entry) => entry.isAlternation).length
      if (alternations < rules.alternations && history.takeovers.length < rules.takeovers) return 'fine'
      history.blockedUntil = now + rules.penaltyMs
      history.identities = []
      history.takeovers = []
      return 'conflict'
    },
    /** Forgets what is over; to be called now and then. */
    sweep(now: number): void {
      for (const [id, history] of histories) {
        const last = history.takeovers.at(-1) ?? 0
        if (history.blockedUntil <= now && last + rules.windowMs <= now) histories.delete(id)
      }
    },
    size: () => histories.size,
  }
}
