/**
 * Leaving without a herd and without a lost request: what happens between the word to go and the end. In this order:
 * 1. off the ring and out of readiness, so that nothing new is sent here; time for the others to notice;
 * 2. tunnels are told to go, one after the other: to this shard's successor if it is there, else each to where it belongs
 *    on the ring without this shard;
 * 3. requests in flight finish, whether they came from here or from another shard, and those that still come are served;
 * 4. some time before the deadline streams that never end are ended between two messages. They kept devices here that hold
 *    one tunnel only: those take nothing new from now on, and what came meanwhile has the rest of the time to finish;
 * 5. at the deadline what is left is cut.
 * An operator's word can be taken back at any time: tunnels that were told go, the others stay. The end of the process can't.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import { goAwayOf } from './cluster/go-away.ts'
import type { Membership } from './cluster/members.ts'
import { planDrain } from './core/drain-schedule.ts'
import type { Hub } from './core/hub.ts'
import type { Tunnel } from './device/tunnel.ts'

export interface DrainProgress {
  readonly state: 'serving' | 'leaving' | 'telling' | 'waiting' | 'ending' | 'drained'
  /** Tunnels that were told to go, and those of them that are gone. */
  readonly told: number
  readonly left: number
  /** Tunnels that are still here. */
  readonly remaining: number
}

/** How an operator wants it; what is left out is as at a stop. */
export interface DrainRequest {
  /** Tunnels that are told to go in a second, unless the deadline asks for more. */
  readonly evictPerSecond?: number | undefined
  /** From the word to the cut. */
  readonly deadlineMs?: number | undefined
}

export interface Drain {
  /** From now on readiness is off. Resolves when every tunnel and request is gone, or when the deadline is over. */
  begin(request?: DrainRequest): Promise<void>
  /** The same for the end of the process: within its own times, whatever was asked before, and for good. */
  end(): Promise<void>
  /** Takes `begin` back: on the ring again, ready again. False: the process is ending. */
  cancel(): Promise<boolean>
  readonly isDraining: () => boolean
  /** Whether new tunnels are sent elsewhere: only once everybody could notice that this shard goes. */
  readonly isClosed: () => boolean
  /** The process is ending. */
  readonly isFinal: () => boolean
  /** Since when nothing is here any more, in milliseconds since 1970; null: it is not drained. */
  readonly drainedAt: () => number | null
  progress(): DrainProgress
}

export interface DrainOptions {
  readonly hub: Hub<Tunnel>
  readonly membership: Pick<Membership, 'leaveRing' | 'rejoinRing' | 'ring' | 'members' | 'find' | 'self'>
  /** Every socket of a device. */
  connections(): { readonly tunnels: number; closeAll(reason: CloseReason): void }
  /** Requests of users, here or for a device on another shard, and requests of other shards. */
  inFlight(): number
  /** Ends streams that have no end of their own, as gently as they can be ended. */
  endStreams(): void
  evicted(): void
  readonly settleMs: number
  readonly windowMs: number
  readonly deadlineMs: number
  readonly log: Logger
}

interface Times {
  readonly windowMs: number
  /** From the end of the window. */
  readonly deadlineMs: number
  /** Between two tunnels at least. */
  readonly everyMs: number
}

const POLL_MS = 50
/** The rest of the time after endless streams were ended, at most half of it: as long as requests wait for a device. */
const FINISH_MS = 5_000
/** Share of an operator's deadline in which all tunnels are told at the latest. */
const TELL_SHARE = 0.75

export function createDrain(options: DrainOptions): Drain {
  const { hub, membership, log } = options
  let work: { readonly done: Promise<void>; readonly stop: AbortController } | null = null
  let state: DrainProgress['state'] = 'serving'
  let told = 0
  let isFinal = false
  let hasSettled = false
  let drainedAt: number | null = null

  const remaining = () => options.connections().tunnels
  const isEmpty = () => remaining() === 0 && options.inFlight() === 0

  function tell(tunnel: Tunnel, reconnectAfterMs: number): void {
    if (hub.get(tunnel.controllerId) !== tunnel || tunnel.isLeaving) return
    told += 1
    options.evicted()
    const owner = hasSuccessor() ? membership.self.shard : membership.ring().ownerOf(tunnel.controllerId)
    tunnel.goAway(goAwayOf(tunnel, 'draining', reconnectAfterMs, owner))
  }

  /** Its place is taken already: whoever goes there need not move again when the next shard is replaced. */
  function hasSuccessor(): boolean {
    const { shard, instance } = membership.self
    const place = membership.find(shard)
    return place?.state === 'serving' && place.instance !== instance
  }

  async function tellAll({ windowMs, everyMs }: Times, signal: AbortSignal): Promise<void> {
    const hasOverlap = (tunnel: Tunnel) => tunnel.hasFeature('overlap')
    const startedAt = performance.now()
    for (const { tunnel, afterMs, reconnectAfterMs } of planDrain(
      hub.all(),
      hasOverlap,
      windowMs,
      Math.random,
      everyMs,
    )) {
      const waitMs = startedAt + afterMs - performance.now()
      if (waitMs > 1) await sleep(waitMs, undefined, { signal })
      tell(tunnel, reconnectAfterMs)
    }
  }

  async function emptyWithin(ms: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + ms
    while (!isEmpty() && performance.now() < deadline) {
      // Some were on their way in when the door closed.
      for (const tunnel of hub.all()) tell(tunnel, 0)
      await sleep(POLL_MS, undefined, { signal })
    }
    return isEmpty()
  }

  function timesOf({ evictPerSecond, deadlineMs }: DrainRequest): Times {
    const everyMs = evictPerSecond === undefined ? 0 : 1_000 / evictPerSecond
    const asked = evictPerSecond === undefined ? options.windowMs : hub.size * everyMs
    if (deadlineMs === undefined) return { windowMs: asked, deadlineMs: options.deadlineMs, everyMs }
    const leftMs = Math.max(0, deadlineMs - (hasSettled ? 0 : options.settleMs))
    const windowMs = Math.min(asked, leftMs * TELL_SHARE)
    return {
      windowMs,
      deadlineMs: leftMs - windowMs,
      everyMs: Math.min(everyMs, windowMs / Math.max(1, hub.size)),
    }
  }

  async function leave(signal: AbortSignal): Promise<void> {
    const hasOthers = membership.members().length > 1
    state = 'leaving'
    await membership.leaveRing()
    signal.throwIfAborted()
    if (hasOthers) await sleep(options.settleMs, undefined, { signal })
    hasSettled = true
  }

  async function run(request: DrainRequest, signal: AbortSignal): Promise<void> {
    const times = timesOf(request)
    log.info('lifecycle', 'draining', { tunnels: remaining() })
    if (!hasSettled) await leave(signal)
    state = 'telling'
    await tellAll(times, signal)
    state = 'waiting'
    const finishMs = Math.min(FINISH_MS, times.deadlineMs / 2)
    if (!(await emptyWithin(times.deadlineMs - finishMs, signal))) {
      state = 'ending'
      options.endStreams()
      for (const tunnel of hub.all()) if (tunnel.isLeaving) tunnel.finish()
      await emptyWithin(finishMs, signal)
    }
    signal.throwIfAborted()
    const requests = options.inFlight()
    if (requests > 0) log.warn('lifecycle', 'cut requests that did not finish in time', { requests })
    options.connections().closeAll(CLOSE.restart)
    state = 'drained'
    drainedAt ??= Date.now()
  }

  function start(request: DrainRequest): Promise<void> {
    const stop = new AbortController()
    const done = run(request, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error
    })
    work = { done, stop }
    return done
  }

  return {
    begin: (request = {}) => work?.done ?? start(request),
    end() {
      if (isFinal && work !== null) return work.done
      isFinal = true
      work?.stop.abort()
      return start({})
    },
    async cancel() {
      if (isFinal) return false
      if (work === null) return true
      work.stop.abort()
      work = null
      state = 'serving'
      told = 0
      hasSettled = false
      drainedAt = null
      log.info('lifecycle', 'draining no more', { tunnels: remaining() })
      await membership.rejoinRing()
      return true
    },
    isDraining: () => work !== null,
    isClosed: () => state !== 'serving' && state !== 'leaving',
    isFinal: () => isFinal,
    drainedAt: () => drainedAt,
    progress: () => ({ state, told, left: Math.max(0, told - remaining()), remaining: remaining() }),
  }
}
