/** How evenly the real ring spreads a million controllers, and what moves when a shard joins or leaves. */
import { createRing } from '../../tunnel-gateway/src/core/ring.ts'
import { seeded } from './random.ts'

export interface Balance {
  readonly shards: number
  readonly controllers: number
  readonly maxToMean: number
  readonly minToMean: number
  /** Share of all controllers that moved when one more joined, times (N + 1); 1 is ideal. */
  readonly movedByJoin: number
  /** The same when one left, times N. */
  readonly movedByLeave: number
  /** Moved although neither end was the shard that joined or left. */
  readonly movedInVain: number
  /** CPU time. */
  readonly buildMs: number
  /** CPU time, the best of a few passes. */
  readonly lookupNs: number
}

const PASSES = 3

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Ids that look like UUIDs, the same at every run. */
export function controllerIds(count: number): string[] {
  const random = seeded(1)
  const hex = (digits: number) =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  // Through a buffer, so that they are flat as ids that came by a socket are.
  const flat = (text: string) => Buffer.from(text, 'latin1').toString('latin1')
  return Array.from({ length: count }, () => flat(`${hex(8)}-${hex(4)}-7${hex(3)}-a${hex(3)}-${hex(12)}`))
}

const named = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ shard: `gateway-${at}`, weight: 1 }))

export function measureBalance(ids: readonly string[], shards: number): Balance {
  const startedAt = cpuMs()
  const ring = createRing(named(shards), 1)
  const buildMs = cpuMs() - startedAt
  const owners = ids.map((id) => ring.ownerOf(id)!)
  let lookupNs = Infinity
  for (let pass = 0; pass < PASSES; pass++) {
    const lookedUpAt = cpuMs()
    for (const id of ids) ring.ownerOf(id)
    lookupNs = Math.min(lookupNs, ((cpuMs() - lookedUpAt) * 1e6) / ids.length)
  }
  const counts = new Map<string, number>()
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  const mean = ids.length / shards
  const joined = createRing(named(shards + 1), 2)
  const left = createRing(named(shards).slice(1), 2)
  const newcomer = `gateway-${shards}`
  let byJoin = 0
  let byLeave = 0
  let inVain = 0
  for (const [at, id] of ids.entries()) {
    const before = owners[at]!
    const after = joined.ownerOf(id)!
    if (after !== before) byJoin += 1
    if (after !== before && after !== newcomer) inVain += 1
    const without = left.ownerOf(id)
    if (without !== before) byLeave += 1
    if (without !== before && before !== 'gateway-0') inVain += 1
  }
  return {
    shards,
    controllers: ids.length,
    maxToMean: Math.max(...counts.values()) / mean,
    minToMean: Math.min(...counts.values()) / mean,
    movedByJoin: (byJoin / ids.length) * (shards + 1),
    movedByLeave: (byLeave / ids.length) * shards,
    movedInVain: inVain,
    buildMs,
    lookupNs,
  }
}
