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
 * @param everyMs Between two tunnels at least, whichever they are; the window must have room for all.
 */
export function planDrain<T>(
  tunnels: Iterable<T>,
  hasOverlap: (tunnel: T) => boolean,
  windowMs: number,
  random: () => number,
  everyMs = 0,
): GoAwayPlan<T>[] {
  const overlapping: T[] = []
  const others: T[] = []
  for (const tunnel of tunnels) (hasOverlap(tunnel) ? overlapping : others).push(tunnel)
  const evenMs = windowMs / Math.max(1, overlapping.length + others.length)
  const overlapEveryMs = Math.max(everyMs, Math.min(OVERLAP_EVERY_MS, evenMs))
  const othersFrom = overlapping.length * overlapEveryMs
  const othersWithinMs = (windowMs - othersFrom) / Math.max(1, others.length)
  const othersEveryMs = Math.max(everyMs, Math.min(OTHERS_EVERY_MS, othersWithinMs))
  return [
    ...overlapping.map((tunnel, at) => ({
      tunnel,
      afterMs: Math.floor(at * overlapEveryMs),
      reconnectAfterMs: Math.floor(random() * JITTER_MS),
    })),
    ...others.map((tunnel, at) => ({
      tunnel,
      afterMs: Math.floor(othersFrom + at * othersEveryMs),
      reconnectAfterMs: 0,
    })),
  ]
}
