/** When each tunnel is told to go, so that the reconnects do not arrive as a herd. */

export interface GoAwayPlan {
  /** After this many milliseconds `goaway` is sent. */
  readonly afterMs: number
  /** What `goaway` says: wait so long before the reconnect. */
  readonly reconnectAfterMs: number
}

/**
 * Plans the departure of `count` tunnels over `windowMs`; few tunnels leave faster.
 * @param random Uniform in [0, 1).
 */
export function planDrain(count: number, windowMs: number, random: () => number): GoAwayPlan[] {
  const spreadMs = Math.min(windowMs, count * 2)
  const jitterMs = Math.min(30_000, Math.max(1_000, count * 5))
  return Array.from({ length: count }, (_, index) => ({
    afterMs: Math.floor((spreadMs * index) / Math.max(1, count)),
    reconnectAfterMs: 500 + Math.floor(random() * jitterMs),
  }))
}
