/**
 * Leaving without a herd and without a lost request: what happens between the signal and the end. In this order:
 * 1. off the ring and out of readiness, so that nothing new is sent here; time for the others to notice;
 * 2. tunnels are told to go, one after the other: to this shard's successor if it is there, else each to where it belongs
 *    on the ring without this shard;
 * 3. requests in flight finish, whether they came from here or from another shard, and those that still come are served;
 * 4. some time before the deadline streams that never end are ended between two messages. They kept devices here that hold
 *    one tunnel only: those take nothing new from now on, and what came meanwhile has the rest of the time to finish;
 * 5. at the deadline what is left is cut.
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

export interface Drain {
  /** From now on readiness is off. Resolves when every tunnel and request is gone, or when the deadline is over. */
  begin(): Promise<void>
  readonly isDraining: () => boolean
  /** Whether new tunnels are sent elsewhere: only once everybody could notice that this shard goes. */
  readonly isClosed: () => boolean
  progress(): DrainProgress
}

export interface DrainOptions {
  readonly hub: Hub<Tunnel>
  readonly membership: Pick<Membership, 'leaveRing' | 'ring' | 'members' | 'find' | 'self'>
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

const POLL_MS = 50
/** The rest of the time after endless streams were ended, at most half of it: as long as requests wait for a device. */
const FINISH_MS = 5_000

export function createDrain(options: DrainOptions): Drain {
  const { hub, membership, log } = options
  let work: Promise<void> | null = null
  let state: DrainProgress['state'] = 'serving'
  let told = 0

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

  async function tellAll(): Promise<void> {
    const hasOverlap = (tunnel: Tunnel) => tunnel.hasFeature('overlap')
    const startedAt = performance.now()
    for (const { tunnel, afterMs, reconnectAfterMs } of planDrain(
      hub.all(),
      hasOverlap,
      options.windowMs,
      Math.random,
    )) {
      const waitMs = startedAt + afterMs - performance.now()
      if (waitMs > 1) await sleep(waitMs)
      tell(tunnel, reconnectAfterMs)
    }
  }

  async function emptyWithin(ms: number): Promise<boolean> {
    const deadline = performance.now() + ms
    while (!isEmpty() && performance.now() < deadline) {
      // Some were on their way in when the door closed.
      for (const tunnel of hub.all()) tell(tunnel, 0)
      await sleep(POLL_MS)
    }
    return isEmpty()
  }

  async function run(): Promise<void> {
    const hasOthers = membership.members().length > 1
    state = 'leaving'
    log.info('lifecycle', 'draining', { tunnels: remaining() })
    await membership.leaveRing()
    if (hasOthers) await sleep(options.settleMs)
    state = 'telling'
    await tellAll()
    state = 'waiting'
    const finishMs = Math.min(FINISH_MS, options.deadlineMs / 2)
    if (!(await emptyWithin(options.deadlineMs - finishMs))) {
      state = 'ending'
      options.endStreams()
      for (const tunnel of hub.all()) if (tunnel.isLeaving) tunnel.finish()
      await emptyWithin(finishMs)
    }
    const requests = options.inFlight()
    if (requests > 0) log.warn('lifecycle', 'cut requests that did not finish in time', { requests })
    options.connections().closeAll(CLOSE.restart)
    state = 'drained'
  }

  return {
    begin() {
      work ??= run()
      return work
    },
    isDraining: () => work !== null,
    isClosed: () => state !== 'serving' && state !== 'leaving',
    progress: () => ({ state, told, left: Math.max(0, told - remaining()), remaining: remaining() }),
  }
}
