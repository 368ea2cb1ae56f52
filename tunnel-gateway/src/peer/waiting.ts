/**
 * Requests that wait to be told where to go. All of one controller share one look-up; those of a controller that moves
 * are parked, looked up again all together now and then, and told at once when it registers here.
 */
import { appError } from '@wmoc/platform/errors'
import { LRUCache } from 'lru-cache'
import type { Upstream } from '#src/core/upstream.ts'

/** `moving`: it is about to come back; `unsettled`: what is known contradicts itself for a moment. */
export type Verdict = Upstream | 'absent' | 'moving' | 'unsettled'

export interface WaitingLimits {
  /** Parked requests of one controller. */
  readonly maxPerController: number
  /** Waiting requests of the shard. */
  readonly maxWaiting: number
  readonly parkMs: number
}

export interface Waiting {
  /** Undefined: offline. Rejects with `overloaded`, `dependency_unavailable`. */
  join(controllerId: string): Promise<Upstream | undefined>
  /** It is here now. */
  settle(controllerId: string, found: Upstream): void
  readonly size: number
  readonly parked: number
  invariants(): string[]
}

const DEFAULTS: WaitingLimits = { maxPerController: 64, maxWaiting: 5_000, parkMs: 5_000 }
const POLL_MS = 50
const UNSETTLED_MS = 500
/** A controller that was not found is not looked for again sooner. */
const PAUSE_MS = 50
const MAX_PAUSED = 10_000
const RETRY_AFTER_MS = 1_000

interface Waiter {
  resolve(found: Upstream | undefined): void
  reject(error: unknown): void
}

interface Lookup {
  readonly controllerId: string
  readonly waiters: Waiter[]
  parkedAt: number | null
  parkUntil: number
  isAsking: boolean
}

export function createWaiting(options: {
  find(controllerId: string): Promise<Verdict>
  /** As `find`, of a parked controller. */
  again(controllerId: string): Promise<Verdict>
  /** A controller's requests were parked and are no longer. */
  parked(isInVain: boolean): void
  readonly limits?: Partial<WaitingLimits>
}): Waiting {
  const limits = { ...DEFAULTS, ...options.limits }
  const lookups = new Map<string, Lookup>()
  const parked = new Set<Lookup>()
  const missedAt = new LRUCache<string, number>({ max: MAX_PAUSED })
  let size = 0
  let timer: NodeJS.Timeout | null = null

  const isOver = (lookup: Lookup) => lookups.get(lookup.controllerId) !== lookup

  function start(controllerId: string): Lookup {
    const lookup = { controllerId, waiters: [], parkedAt: null, parkUntil: 0, isAsking: false }
    lookups.set(controllerId, lookup)
    const pauseMs = (missedAt.get(controllerId) ?? -PAUSE_MS) + PAUSE_MS - performance.now()
    if (pauseMs <= 0) void look(lookup, options.find)
    else setTimeout(() => void look(lookup, options.find), pauseMs)
    return lookup
  }

  async function look(lookup: Lookup, find: (controllerId: string) => Promise<Verdict>): Promise<void> {
    if (isOver(lookup)) return
    lookup.isAsking = true
    try {
      const verdict = await find(lookup.controllerId)
      if (!isOver(lookup)) conclude(lookup, verdict)
    } catch (error) {
      // Parked requests wait on: what is asked may be back in time.
      if (!isOver(lookup) && lookup.parkedAt === null) finish(lookup, (waiter) => waiter.reject(error))
    } finally {
      lookup.isAsking = false
    }
  }

  function conclude(lookup: Lookup, verdict: Verdict): void {
    if (typeof verdict === 'object') return finish(lookup, (waiter) => waiter.resolve(verdict))
    if (verdict === 'absent') return miss(lookup)
    lookup.parkedAt ??= performance.now()
    const waitMs = verdict === 'moving' ? limits.parkMs : UNSETTLED_MS
    // What moves is nowhere for a moment, which cuts no wait short.
    lookup.parkUntil = Math.max(lookup.parkUntil, lookup.parkedAt + waitMs)
    park(lookup)
  }

  function miss(lookup: Lookup): void {
    missedAt.set(lookup.controllerId, performance.now())
    finish(lookup, (waiter) => waiter.resolve(undefined), true)
  }

  function park(lookup: Lookup): void {
    parked.add(lookup)
    for (const waiter of lookup.waiters.splice(limits.maxPerController)) {
      size -= 1
      waiter.reject(overloaded())
    }
    timer ??= setInterval(poll, POLL_MS)
  }

  function poll(): void {
    const now = performance.now()
    for (const lookup of parked) {
      if (now > lookup.parkUntil) miss(lookup)
      else if (!lookup.isAsking) void look(lookup, options.again)
    }
  }

  function finish(lookup: Lookup, tell: (waiter: Waiter) => void, isInVain = false): void {
    lookups.delete(lookup.controllerId)
    if (parked.delete(lookup)) options.parked(isInVain)
    if (parked.size === 0 && timer !== null) {
      clearInterval(timer)
      timer = null
    }
    size -= lookup.waiters.length
    for (const waiter of lookup.waiters) tell(waiter)
  }

  return {
    join(controllerId) {
      return new Promise((resolve, reject) => {
        if (size >= limits.maxWaiting) return reject(overloaded())
        const lookup = lookups.get(controllerId) ?? start(controllerId)
        if (lookup.parkedAt !== null && lookup.waiters.length >= limits.maxPerController)
          return reject(overloaded())
        size += 1
        lookup.waiters.push({ resolve, reject })
      })
    },
    settle(controllerId, found) {
      const lookup = lookups.get(controllerId)
      if (lookup !== undefined) finish(lookup, (waiter) => waiter.resolve(found))
    },
    get size() {
      return size
    },
    get parked() {
      let count = 0
      for (const { waiters } of parked) count += waiters.length
      return count
    },
    invariants() {
      const broken: string[] = []
      let waiters = 0
      for (const lookup of lookups.values()) waiters += lookup.waiters.length
      if (waiters !== size) broken.push('requests wait that are not counted')
      if (size > limits.maxWaiting) broken.push('more requests wait than may')
      for (const lookup of parked) {
        if (isOver(lookup)) broken.push('parked without a look-up')
        if (lookup.waiters.length > limits.maxPerController)
          broken.push('more requests of a controller parked than may')
      }
      if ((timer === null) !== (parked.size === 0)) broken.push('parked requests without a clock')
      return broken
    },
  }
}

function overloaded(): Error {
  return appError('overloaded', { retryAfterMs: RETRY_AFTER_MS })
}
