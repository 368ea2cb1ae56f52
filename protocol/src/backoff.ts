/** How long to wait before the next try. Pure. */

export type Backoff = {
  /** Tries that failed in a row, from 0. */
  attempt: number
  baseMs: number
  capMs: number
  /** In [0, 1). */
  random: number
}

/** Milliseconds in [0, min(cap, base·2^attempt)): full jitter, so that a crowd cut off together comes back spread out. */
export function fullJitterMs({ attempt, baseMs, capMs, random }: Backoff): number {
  // 2^31 is beyond any cap and keeps the product finite.
  const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 31))
  return Math.floor(random * ceiling)
}
