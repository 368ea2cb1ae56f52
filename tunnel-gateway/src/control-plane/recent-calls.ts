/**
 * How the calls of the last minute ended, in slices of time: whoever compares shards sees which of them lost the API and
 * when, however many calls each of them made.
 */
export interface RecentCalls {
  ended(isAnswered: boolean): void
  /** The newest slice first. */
  read(): { readonly sliceSeconds: number; readonly calls: number[]; readonly failed: number[] }
}

const SLICE_MS = 5_000
const SLICES = 12

/** @param now Monotonic, in ms. */
export function createRecentCalls(now: () => number = () => performance.now()): RecentCalls {
  const slices = Array.from({ length: SLICES }, () => ({ at: -1, calls: 0, failed: 0 }))
  const current = () => Math.floor(now() / SLICE_MS)

  return {
    ended(isAnswered) {
      const at = current()
      const slice = slices[at % SLICES]!
      if (slice.at !== at) Object.assign(slice, { at, calls: 0, failed: 0 })
      slice.calls += 1
      if (!isAnswered) slice.failed += 1
    },
    read() {
      const newest = current()
      const known = Array.from({ length: SLICES }, (_, age) => {
        const slice = slices[(((newest - age) % SLICES) + SLICES) % SLICES]!
        return slice.at === newest - age ? slice : { calls: 0, failed: 0 }
      })
      return {
        sliceSeconds: SLICE_MS / 1_000,
        calls: known.map(({ calls }) => calls),
        failed: known.map(({ failed }) => failed),
      }
    },
  }
}
