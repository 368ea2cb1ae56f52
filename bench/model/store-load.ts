/** What a cluster at rest asks of the shared store, from the real intervals and batch sizes. */
import { PRESENCE } from '../../tunnel-gateway/src/device/presence.ts'

export interface StoreLoad {
  readonly shards: number
  readonly controllers: number
  /** Scripts a second: each shard reads the leases and keeps its own. */
  readonly leaseCalls: number
  /** Scripts a second, of so many entries each. */
  readonly renewCalls: number
  readonly entriesPerCall: number
  readonly renewedEntries: number
  /** The same if a tunnel's entry were its only sign of life: renewed every 10 s, as before leases. */
  readonly entriesWithoutLeases: number
}

const WITHOUT_LEASES_MS = 10_000

export function storeLoad(controllers: number, shards: number, leaseRenewMs: number): StoreLoad {
  const ofShard = controllers / shards
  const entriesPerTick = Math.ceil((ofShard * PRESENCE.tickMs) / PRESENCE.roundMs)
  const callsPerTick = Math.ceil(entriesPerTick / PRESENCE.batch)
  const ticksPerSecond = 1_000 / PRESENCE.tickMs
  return {
    shards,
    controllers,
    leaseCalls: (2 * shards * 1_000) / leaseRenewMs,
    renewCalls: shards * callsPerTick * ticksPerSecond,
    entriesPerCall: entriesPerTick / callsPerTick,
    renewedEntries: shards * entriesPerTick * ticksPerSecond,
    entriesWithoutLeases: (controllers * 1_000) / WITHOUT_LEASES_MS,
  }
}
