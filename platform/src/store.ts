/**
 * The shared store: who is connected where, counters, one-time codes and messages between processes. All of it can be
 * lost and is rebuilt; nothing here is the truth. Two forms behind one interface: Redis (`store-redis.ts`), and an
 * embedded one for a machine without Redis (`store-embedded.ts`). Both pass the same test suite.
 */

/** Which shard holds a controller's tunnel, fenced by an epoch that only grows. */
export interface Presence {
  readonly shard: string
  readonly epoch: number
  /** The tunnel was sent away and its controller is expected back any moment, here or on another shard. */
  readonly isMoving: boolean
}

/** One member of a group of processes that keep themselves alive in the store. */
export interface Lease {
  readonly id: string
  readonly value: string
}

export interface LimitRule {
  /** Requests allowed at once after a quiet time. */
  readonly burst: number
  /** Requests that come back per `periodMs`. */
  readonly count: number
  readonly periodMs: number
}

/** Answer of the limiter (GCRA), shaped for `RateLimit` headers and `Retry-After`. */
export interface LimitResult {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** 0 when allowed. */
  readonly retryAfterMs: number
  /** Until the bucket is full again. */
  readonly resetAfterMs: number
}

export interface Store {
  readonly kind: 'redis' | 'embedded'
  get(key: string): Promise<string | null>
  /** `ifAbsent`: false when the key was there, and nothing changes. */
  set(key: string, value: string, options: { ttlMs: number; ifAbsent?: boolean }): Promise<boolean>
  /** Reads and deletes in one step: of many takers exactly one gets the value. */
  take(key: string): Promise<string | null>
  delete(...keys: string[]): Promise<number>
  /** The value after adding one; a new key lives `ttlMs`. */
  increment(key: string, ttlMs: number): Promise<number>
  /** Takes `cost` (default 1) from the bucket `key`. */
  limit(key: string, rule: LimitRule, cost?: number): Promise<LimitResult>

  /**
   * Takes the controller over: epoch = max(stored + 1, atLeast, the store's clock in ms). `previous` is the shard
   * that held it, so that its socket can be told.
   */
  claimPresence(
    controllerId: string,
    claim: { shard: string; atLeast: number; ttlMs: number },
  ): Promise<{ epoch: number; previous: Presence | null }>
  /**
   * Heartbeat of many tunnels at once. A lost entry (flush, failover) is set again from the caller's memory; `false`
   * where a higher epoch, or another shard's same one, is stored: the caller is superseded.
   */
  renewPresence(
    shard: string,
    entries: readonly { controllerId: string; epoch: number }[],
    ttlMs: number,
  ): Promise<boolean[]>
  /** Removes the entry only if it is still this epoch's. */
  releasePresence(controllerId: string, epoch: number): Promise<boolean>
  /** Marks the entry as moving, for `ttlMs` at most, only if it is still this epoch's. The next claim ends the mark. */
  leavePresence(controllerId: string, epoch: number, ttlMs: number): Promise<boolean>
  getPresence(controllerIds: readonly string[]): Promise<(Presence | null)[]>

  /** Keeps `id` in `group` for `ttlMs` from now, by the store's clock; a later call renews it and replaces `value`. */
  keepLease(group: string, lease: Lease, ttlMs: number): Promise<void>
  dropLease(group: string, id: string): Promise<void>
  /** Members whose time has not run out, by id. */
  leases(group: string): Promise<Lease[]>

  publish(channel: string, message: string): Promise<void>
  /** Messages sent while away are lost. Resolves once subscribed, be it after an outage; the answer ends it. */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>>

  /** Rejects when the store can't be reached. */
  ping(): Promise<void>
  close(): Promise<void>
}
