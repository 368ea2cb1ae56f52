/**
 * Whether an updated shard reaches the API, told apart from an API that is away for everybody. Shards are compared slice of
 * time by slice of time, not by what failed in all: one that is new asks the API more, for it has nothing at hand yet.
 * Pure.
 */
import type { Shard } from './world.ts'

/** A slice is 5 s: less may be the replacement of the API itself. */
const TOO_MANY = 4

export type Reach =
  | { readonly kind: 'fine' }
  /** Too little is known, or others failed as well: nobody can say whether it is the shard. */
  | { readonly kind: 'unclear' | 'alone'; readonly message: string }

/** Slices of the last minute in which more of a shard's calls failed than may, in percent. */
function badSlices({ report }: Shard, maxPercent: number): number {
  const { calls, failed } = report?.apiCalls ?? { calls: [], failed: [] }
  return calls.filter((count, age) => count > 0 && (100 * (failed[age] ?? 0)) / count > maxPercent).length
}

/** The first of these that lately did not reach the API. */
export function cutOff(shards: readonly Shard[], maxPercent: number): Shard | undefined {
  return shards.find((shard) => badSlices(shard, maxPercent) > 0)
}

/** @param others with which `shard` is compared */
export function reachOf(shard: Shard, others: readonly Shard[], maxPercent: number): Reach {
  const bad = badSlices(shard, maxPercent)
  if (bad === 0) return { kind: 'fine' }
  const too = cutOff(others, maxPercent)
  if (too !== undefined)
    return { kind: 'unclear', message: `neither ${shard.name} nor ${too.name} always reached the API lately` }
  return bad < TOO_MANY
    ? { kind: 'unclear', message: `${shard.name} did not always reach the API in the last minute` }
    : { kind: 'alone', message: `${shard.name} does not reach the API, and the other shards do` }
}
