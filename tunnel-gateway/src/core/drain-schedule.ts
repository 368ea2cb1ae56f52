/** When each tunnel is told to go, so that the reconnects do not arrive as a herd. */

export interface GoAwayPlan<T> {
  readonly tunnel: T
  /** After this many milliseconds `goaway` is sent. */
  readonly afterMs: number
  /** What `goaway` says: wait so long before the reconnect. */
  readonly reconnectAfterMs: number
}

/** Between two tunnels that open their next one first, and between two that cannot: those are away for a moment. */
const OVERLAP_EVERY_MS = 2
const OTHERS_EVERY_MS = 10
const JITTER_MS = 250

/**
 * Plans the departure of tunnels within `windowMs`; few tunnels leave faster. Those that open their next tunnel before
 * this one ends go first: nobody notices. The others follow one at a time, and come back at once, because requests wait
 * for them.
 * @param random Uniform in [0, 1).
 */
export function planDrain<T>(
  tunnels: Iterable<T>,
  hasOverlap: (tunnel: T) => boolean,
  windowMs: number,
  random: () => number,
): GoAwayPlan<T>[] {
  const overlapping: T[] = []
  const others: T[] = []
  for (const tunnel of tunnels) (hasOverlap(tunnel) ? overlapping : others).push(tunnel)
  const wantedMs = overlapping.length * OVERLAP_EVERY_MS + others.length * OTHERS_EVERY_MS
  const scale = Math.min(1, windowMs / Math.max(1, wantedMs))
  const othersFrom = overlapping.length * OVERLAP_EVERY_MS
  return [
    ...overlapping.map((tunnel, at) => ({
      tunnel,
      afterMs: Math.floor(at * OVERLAP_EVERY_MS * scale),
      reconnectAfterMs: Math.floor(random() * JITTER_MS),
    })),
    ...others.map((tunnel, at) => ({
      tunnel,
      afterMs: Math.floor((othersFrom + at * OTHERS_EVERY_MS) * scale),
      reconnectAfterMs: 0,
    })),
  ]
}
