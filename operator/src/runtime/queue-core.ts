/**
 * Which key to work on next: pure, told the time. A key is in the queue once however often it was added, is never given
 * out twice at the same time, and one that failed waits longer each time; nothing that was added is lost.
 */

export interface QueueTiming {
  /** Wait after the first failure; doubles with each. */
  readonly backOffMs: number
  readonly maxBackOffMs: number
  /** Least time between the end of a success and the next turn of the same key: gathers what comes in a burst. */
  readonly quietMs: number
}

export interface QueueCore {
  /** Asks for a turn; not before the key's back-off has passed. */
  add(key: string, now: number): void
  /** Asks for a turn at once and forgets failures: somebody changed what the key stands for. */
  hurry(key: string, now: number): void
  /** Asks for a turn in `ms` at the latest. */
  addAfter(key: string, ms: number, now: number): void
  /** The key that waited longest among those whose time has come; it is in flight until `done`. */
  poll(now: number): string | null
  /** Ends a turn. A failure asks for the next by itself. */
  done(key: string, now: number, hasFailed: boolean): void
  /** Failures in a row. */
  failures(key: string): number
  /** When `poll` has something, if nothing is added; null: never. */
  nextAt(): number | null
  /** Keys whose time has come and that are not in flight. */
  depth(now: number): number
  inFlight(): number
}

interface Entry {
  /** When a turn is wanted; null: not at all. */
  wantedAt: number | null
  /** Breaks ties: first come, first served. */
  order: number
  notBefore: number
  isInFlight: boolean
  isUrgent: boolean
  failures: number
}

/** @param random 0 ≤ x < 1; spreads back-off between half and the whole of it */
export function createQueueCore(timing: QueueTiming, random: () => number): QueueCore {
  const entries = new Map<string, Entry>()
  let order = 0

  function entryOf(key: string): Entry {
    let entry = entries.get(key)
    if (entry === undefined) {
      entry = { wantedAt: null, order: 0, notBefore: 0, isInFlight: false, isUrgent: false, failures: 0 }
      entries.set(key, entry)
    }
    return entry
  }

  function want(entry: Entry, at: number): void {
    if (entry.wantedAt !== null && entry.wantedAt <= at) return
    if (entry.wantedAt === null) entry.order = order++
    entry.wantedAt = at
  }

  const dueAt = (entry: Entry) =>
    entry.wantedAt === null || entry.isInFlight ? null : Math.max(entry.wantedAt, entry.notBefore)

  function backOff(failures: number): number {
    const whole = Math.min(timing.maxBackOffMs, timing.backOffMs * 2 ** Math.min(failures - 1, 30))
    return whole * (0.5 + random() / 2)
  }

  return {
    add: (key, now) => want(entryOf(key), now),
    hurry(key, now) {
      const entry = entryOf(key)
      entry.failures = 0
      entry.notBefore = now
      entry.isUrgent = entry.isInFlight
      want(entry, now)
    },
    addAfter: (key, ms, now) => want(entryOf(key), now + ms),
    poll(now) {
      let first: { key: string; entry: Entry; at: number } | null = null
      for (const [key, entry] of entries) {
        const at = dueAt(entry)
        if (at === null || at > now) continue
        if (first === null || at < first.at || (at === first.at && entry.order < first.entry.order)) {
          first = { key, entry, at }
        }
      }
      if (first === null) return null
      first.entry.isInFlight = true
      first.entry.wantedAt = null
      return first.key
    },
    done(key, now, hasFailed) {
      const entry = entries.get(key)
      if (entry?.isInFlight !== true) throw new Error(`${key} is not in flight`)
      entry.isInFlight = false
      if (entry.isUrgent) {
        entry.isUrgent = false
        return
      }
      if (hasFailed) {
        entry.failures += 1
        entry.notBefore = now + backOff(entry.failures)
        want(entry, now)
        return
      }
      entry.failures = 0
      entry.notBefore = now + timing.quietMs
      if (entry.wantedAt === null) entries.delete(key)
    },
    failures: (key) => entries.get(key)?.failures ?? 0,
    nextAt() {
      let next: number | null = null
      for (const entry of entries.values()) {
        const at = dueAt(entry)
        if (at !== null && (next === null || at < next)) next = at
      }
      return next
    },
    depth(now) {
      let count = 0
      for (const entry of entries.values()) {
        const at = dueAt(entry)
        if (at !== null && at <= now) count += 1
      }
      return count
    },
    inFlight: () => [...entries.values()].filter((entry) => entry.isInFlight).length,
  }
}
