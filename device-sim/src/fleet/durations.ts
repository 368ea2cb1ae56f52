/** Durations of many, in constant memory: percentiles within 10 %. Pure. */

export type Durations = {
  record(ms: number): void
  readonly count: number
  readonly maxMs: number
  /** The duration that this share (0–1) stayed below or at, rounded up to its bucket; 0 when there is none. */
  percentileMs(share: number): number
}

const GROWTH = 1.1
const BUCKETS = 180

/** Buckets from 1 ms on, each a tenth wider than the one before: up to eight hours. */
export function createDurations(): Durations {
  const counts = new Uint32Array(BUCKETS)
  let count = 0
  let maxMs = 0
  return {
    record(ms) {
      const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms) / Math.log(GROWTH)))
      counts[bucket] = (counts[bucket] ?? 0) + 1
      count += 1
      maxMs = Math.max(maxMs, ms)
    },
    get count() {
      return count
    },
    get maxMs() {
      return maxMs
    },
    percentileMs(share) {
      const wanted = Math.ceil(share * count)
      let seen = 0
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
        seen += counts[bucket] ?? 0
        if (seen >= wanted && wanted > 0) return Math.min(maxMs, GROWTH ** bucket)
      }
      return 0
    },
  }
}
