import type { MetricRow } from './normalize.ts'

/** What is kept of all values of one metric in one bucket of time. Times in ms since 1970. */
export interface Rollup {
  readonly controllerId: string
  readonly type: string
  readonly bucket: number
  count: number
  sum: number
  min: number
  max: number
  last: number
  lastAt: number
}

/**
 * Adds rows up into buckets of `widthMs`, aligned to 1970 UTC; rows without a number are left out. Of values with the
 * same time the later in order is `last`. Sorted by key, so that everybody who writes them takes locks in one order.
 */
export function rollUp(rows: readonly MetricRow[], widthMs: number): Rollup[] {
  const buckets = new Map<string, Rollup>()
  for (const { controllerId, type, number, at } of rows) {
    if (number === null) continue
    const bucket = Math.floor(at / widthMs) * widthMs
    const key = `${controllerId} ${bucket} ${type}`
    const known = buckets.get(key)
    if (known) add(known, number, at)
    else
      buckets.set(key, {
        controllerId,
        type,
        bucket,
        count: 1,
        sum: number,
        min: number,
        max: number,
        last: number,
        lastAt: at,
      })
  }
  return sortedByKey(buckets)
}

function add(rollup: Rollup, value: number, at: number): void {
  rollup.count += 1
  rollup.sum += value
  rollup.min = Math.min(rollup.min, value)
  rollup.max = Math.max(rollup.max, value)
  if (at < rollup.lastAt) return
  rollup.last = value
  rollup.lastAt = at
}

/** The newest row of each metric of each controller, whatever its value is; sorted by key as in `rollUp`. */
export function latest(rows: readonly MetricRow[]): MetricRow[] {
  const newest = new Map<string, MetricRow>()
  for (const row of rows) {
    const key = `${row.controllerId} ${row.type}`
    const known = newest.get(key)
    if (!known || row.at >= known.at) newest.set(key, row)
  }
  return sortedByKey(newest)
}

function sortedByKey<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
}
