/** Small statistics. */

/** The value below which the share `p` (0 to 1) of the sorted values lies (nearest rank); NaN of nothing. */
export function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN
}

/** The middle value; of an even number the lower of the two. */
export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}
