/**
 * Which shard a controller belongs to: consistent hashing with virtual nodes and bounded load. Every process makes the
 * same ring from the same shards, in whatever order it learned of them; a shard's points do not depend on the others, so
 * that a change moves only what the shard that came takes, or the one that went leaves.
 */
import type { Ring } from '#src/cluster/members.ts'

export interface RingShard {
  readonly shard: string
  /** Share of the ring in relation to others. */
  readonly weight: number
}

/** Points of a shard of weight 1: shares differ by about 1/√8192 = 1.1 % from the mean. */
const POINTS = 8_192
/** With more in total all weights count half, a quarter … */
const MAX_POINTS = 1_048_576
/** No shard owns more than so many times what its weight says. */
const MAX_LOAD = 1.05
const CIRCLE = 2 ** 32
/** Points are found by the upper half of their hash. */
const BUCKETS = 65_536

interface Points {
  readonly hashes: Uint32Array
  /** Index of the shard in the list sorted by name. */
  readonly owners: Uint16Array
  /** The first point whose upper half is not smaller. */
  readonly starts: Uint32Array
}

/** @param epoch Given back as it is. Of shards with one name the first counts. */
export function createRing(given: readonly RingShard[], epoch: number): Ring {
  const byName = new Map(given.toReversed().map((entry) => [entry.shard, entry]))
  const shards = [...byName.values()].toSorted((a, b) => (a.shard < b.shard ? -1 : 1))
  const names = shards.map((entry) => entry.shard)
  const points = placePoints(shards)
  const totalWeight = shards.reduce((sum, { weight }) => sum + weight, 0)
  const loads = boundLoads(
    points,
    shards.map(({ weight }) => (CIRCLE * MAX_LOAD * weight) / totalWeight),
  )
  return {
    epoch,
    shards: names,
    ownerOf: (controllerId) => names[ownerAt(points, hashOf(controllerId, 0))] ?? null,
    ownershipOf: (shard) => (loads[names.indexOf(shard)] ?? 0) / CIRCLE,
  }
}

function ownerAt({ hashes, owners, starts }: Points, hash: number): number {
  let at = starts[hash >>> 16]!
  while (at < hashes.length && hashes[at]! < hash) at += 1
  return owners[at < hashes.length ? at : 0] ?? -1
}

/** Sorted by hash; where two are equal, by name. */
function placePoints(shards: readonly RingShard[]): Points {
  let scale = POINTS
  while (shards.reduce((sum, { weight }) => sum + countOf(weight, scale), 0) > MAX_POINTS) scale /= 2
  const counts = shards.map(({ weight }) => countOf(weight, scale))
  const total = counts.reduce((sum, count) => sum + count, 0)
  const unsorted = new Uint32Array(total)
  const starts = new Uint32Array(BUCKETS + 1)
  let next = 0
  for (const [index, { shard }] of shards.entries()) {
    const first = hashOf(shard, 1)
    const second = hashOf(shard, 2)
    for (let point = 0; point < counts[index]!; point++) {
      const hash = mix(mix((first + Math.imul(point, 0x9e37_79b9)) | 0) ^ second)
      unsorted[next++] = hash
      starts[(hash >>> 16) + 1]! += 1
    }
  }
  for (let bucket = 0; bucket < BUCKETS; bucket++) starts[bucket + 1]! += starts[bucket]!

  const hashes = new Uint32Array(total)
  const owners = new Uint16Array(total)
  const filled = starts.slice()
  next = 0
  for (const [index, count] of counts.entries()) {
    for (let point = 0; point < count; point++) {
      const hash = unsorted[next++]!
      const bucket = hash >>> 16
      let at = filled[bucket]!++
      for (; at > starts[bucket]! && hashes[at - 1]! > hash; at--) {
        hashes[at] = hashes[at - 1]!
        owners[at] = owners[at - 1]!
      }
      hashes[at] = hash
      owners[at] = index
    }
  }
  return { hashes, owners, starts }
}

const countOf = (weight: number, scale: number) => Math.max(1, Math.round(weight * scale))

/** Hands what is over a shard's limit to the next one clockwise that has room. Answers the loads. */
function boundLoads({ hashes, owners }: Points, limits: readonly number[]): number[] {
  const loads = limits.map(() => 0)
  const count = hashes.length
  const arcOf = (at: number) => hashes[at]! - (at > 0 ? hashes[at - 1]! : hashes[count - 1]! - CIRCLE)
  for (let at = 0; at < count; at++) loads[owners[at]!]! += arcOf(at)
  if (!loads.some((load, index) => load > limits[index]!)) return loads
  for (let at = 0; at < count; at++) {
    const owner = owners[at]!
    if (loads[owner]! <= limits[owner]!) continue
    const arc = arcOf(at)
    let taker = at
    do taker = (taker + 1) % count
    while (taker !== at && loads[owners[taker]!]! + arc > limits[owners[taker]!]!)
    loads[owner]! -= arc
    loads[owners[taker]!]! += arc
    owners[at] = owners[taker]!
  }
  return loads
}

/** FNV-1a over UTF-16 units, then mixed: 32 bits without sign. */
function hashOf(text: string, seed: number): number {
  let hash = 0x811c_9dc5 ^ seed
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  return mix(hash)
}

/** The finaliser of MurmurHash3: every bit of the input turns half of the bits of the output. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16)
  hash = Math.imul(hash, 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
