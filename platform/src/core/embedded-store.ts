/** The embedded store's state: what Redis would hold, in one process. The clock comes in. */
import { gcra } from './gcra.ts'
import type { Lease, LimitRule, LimitResult, Presence } from '../store.ts'

interface Entry<T> {
  value: T
  expiresAt: number
}

export interface EmbeddedStoreCore {
  get(key: string): string | null
  set(key: string, value: string, options: { ttlMs: number; ifAbsent?: boolean }): boolean
  take(key: string): string | null
  delete(keys: readonly string[]): number
  increment(key: string, ttlMs: number): number
  limit(key: string, rule: LimitRule, cost: number): LimitResult
  claimPresence(
    controllerId: string,
    claim: { shard: string; atLeast: number; ttlMs: number },
  ): { epoch: number; previous: Presence | null }
  renewPresence(
    shard: string,
    entries: readonly { controllerId: string; epoch: number }[],
    ttlMs: number,
  ): boolean[]
  releasePresence(controllerId: string, epoch: number): boolean
  leavePresence(controllerId: string, epoch: number, ttlMs: number): boolean
  getPresence(controllerIds: readonly string[]): (Presence | null)[]
  keepLease(group: string, lease: Lease, ttlMs: number): void
  dropLease(group: string, id: string): void
  leases(group: string): Lease[]
  /** Forgets what has expired; called now and then, so that keys nobody asks for don't stay. */
  sweep(): void
}

/**
 * An empty store.
 * @param now Milliseconds since 1970.
 */
export function createEmbeddedStoreCore(now: () => number): EmbeddedStoreCore {
  const values = new Map<string, Entry<string>>()
  const buckets = new Map<string, Entry<number>>()
  const presence = new Map<string, Entry<Presence>>()
  const groups = new Map<string, Map<string, Entry<string>>>()

  function read<T>(map: Map<string, Entry<T>>, key: string): T | null {
    const entry = map.get(key)
    if (entry === undefined) return null
    if (entry.expiresAt > now()) return entry.value
    map.delete(key)
    return null
  }

  return {
    get: (key) => read(values, key),
    set(key, value, { ttlMs, ifAbsent }) {
      if (ifAbsent === true && read(values, key) !== null) return false
      values.set(key, { value, expiresAt: now() + ttlMs })
      return true
    },
    take(key) {
      const value = read(values, key)
      values.delete(key)
      return value
    },
    delete: (keys) => keys.filter((key) => read(values, key) !== null && values.delete(key)).length,
    increment(key, ttlMs) {
      const held = read(values, key)
      const value = Number(held ?? 0) + 1
      values.set(key, {
        value: String(value),
        expiresAt: held === null ? now() + ttlMs : values.get(key)!.expiresAt,
      })
      return value
    },
    limit(key, rule, cost) {
      const at = now()
      const { result, tatMs } = gcra(read(buckets, key) ?? 0, at, rule, cost)
      if (result.allowed) buckets.set(key, { value: tatMs, expiresAt: tatMs })
      return result
    },
    claimPresence(controllerId, { shard, atLeast, ttlMs }) {
      const previous = read(presence, controllerId)
      const epoch = Math.max((previous?.epoch ?? 0) + 1, atLeast, now())
      presence.set(controllerId, { value: { shard, epoch, isMoving: false }, expiresAt: now() + ttlMs })
      return { epoch, previous }
    },
    renewPresence: (shard, entries, ttlMs) =>
      entries.map(({ controllerId, epoch }) => {
        const held = read(presence, controllerId)
        if (held !== null && held.epoch > epoch) return false
        // A clock that went back after a flush can hand out an epoch twice: the shard that is written down keeps it.
        if (held !== null && held.epoch === epoch && held.shard !== shard) return false
        // One that was sent away keeps its mark and the time it has.
        if (held?.epoch === epoch && held.isMoving) return true
        presence.set(controllerId, { value: { shard, epoch, isMoving: false }, expiresAt: now() + ttlMs })
        return true
      }),
    releasePresence: (controllerId, epoch) =>
      read(presence, controllerId)?.epoch === epoch && presence.delete(controllerId),
    leavePresence(controllerId, epoch, ttlMs) {
      const held = read(presence, controllerId)
      if (held?.epoch !== epoch) return false
      presence.set(controllerId, { value: { ...held, isMoving: true }, expiresAt: now() + ttlMs })
      return true
    },
    getPresence: (controllerIds) => controllerIds.map((id) => read(presence, id)),
    keepLease(group, { id, value }, ttlMs) {
      const members = groups.get(group) ?? new Map<string, Entry<string>>()
      groups.set(group, members.set(id, { value, expiresAt: now() + ttlMs }))
    },
    dropLease: (group, id) => void groups.get(group)?.delete(id),
    leases(group) {
      const members = groups.get(group) ?? new Map<string, Entry<string>>()
      return [...members.keys()].flatMap((id) => {
        const value = read(members, id)
        return value === null ? [] : [{ id, value }]
      })
    },
    sweep() {
      for (const map of [values, buckets, presence, ...groups.values()]) {
        for (const [key, entry] of map) if (entry.expiresAt <= now()) map.delete(key)
      }
    },
  }
}
