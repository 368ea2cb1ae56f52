/**
 * Moves tunnels gently. Idle ones that stand on a shard where they don't belong, of devices that can follow without a gap,
 * once the ring has been the same for a while: each spares its users a hop. And, when memory is short here, idle ones of
 * any device, a few a second, to wherever they land.
 */
import type { Logger } from '@wmoc/platform/log'
import type { DeviceFeature, GoAway } from '@wmoc/protocol/messages'
import type { Hub, HubEntry } from '#src/core/hub.ts'
import { goAwayOf } from './go-away.ts'
import type { Membership } from './members.ts'

export interface MovableTunnel extends HubEntry {
  readonly isLeaving: boolean
  readonly isIdle: boolean
  hasFeature(feature: DeviceFeature): boolean
  goAway(message: GoAway): void
}

export interface RebalanceOptions {
  readonly hub: Hub<MovableTunnel>
  readonly membership: Pick<Membership, 'ring' | 'find' | 'members' | 'self'> & { readonly ringSince: number }
  /** Too little memory. */
  isShort(): boolean
  isDraining(): boolean
  moved(): void
  shed(): void
  /** How long the ring must have been the same. */
  readonly afterMs: number
  /** A tunnel that came later stays: no device is sent around in circles. */
  readonly minAgeMs: number
  /** At most so many at each beat. */
  readonly perBeat: number
  readonly log: Logger
}

/** Looked at in one beat. */
const LOOK_AT = 2_000
/** Of all tunnels, when memory is short. */
const SHED_SHARE = 1 / 200
const MOVE_JITTER_MS = 500
const SHED_JITTER_MS = 10_000

/** The answer is to be called about every second. */
export function createRebalancer(options: RebalanceOptions): () => void {
  const { hub, membership } = options
  let cursor = hub.all()
  let wasShort = false

  /** Goes on where it stopped the last time; at the end it begins anew. @param tell True: it was sent away. */
  function some(atMost: number, tell: (tunnel: MovableTunnel) => boolean): void {
    let told = 0
    for (let looked = 0; looked < LOOK_AT && told < atMost; looked++) {
      const next = cursor.next()
      if (next.done === true) {
        cursor = hub.all()
        return
      }
      const tunnel = next.value
      if (!tunnel.isLeaving && tunnel.isIdle && tell(tunnel)) told += 1
    }
  }

  function elsewhere(tunnel: MovableTunnel): string | null {
    const owner = membership.ring().ownerOf(tunnel.controllerId)
    return owner === null || owner === membership.self.shard ? null : owner
  }

  function move(tunnel: MovableTunnel): boolean {
    if (!tunnel.hasFeature('follow') || !tunnel.hasFeature('overlap')) return false
    const owner = elsewhere(tunnel)
    // An epoch is the time of the registration in milliseconds, unless a clock has jumped.
    if (owner === null || Date.now() - tunnel.epoch < options.minAgeMs) return false
    if (membership.find(owner)?.state !== 'serving') return false
    options.moved()
    tunnel.goAway(goAwayOf(tunnel, 'rebalance', jitter(MOVE_JITTER_MS), owner))
    return true
  }

  function shed(tunnel: MovableTunnel): boolean {
    options.shed()
    tunnel.goAway(goAwayOf(tunnel, 'rebalance', jitter(SHED_JITTER_MS), elsewhere(tunnel)))
    return true
  }

  return () => {
    if (options.isDraining()) return
    const { instance } = membership.self
    const hasOthers = membership
      .members()
      .some((member) => member.state === 'serving' && member.instance !== instance)
    if (!hasOthers) return
    const isShort = options.isShort()
    if (isShort && !wasShort) options.log.warn('tunnel', 'memory is short, idle tunnels are sent elsewhere')
    wasShort = isShort
    if (isShort) some(Math.ceil(hub.size * SHED_SHARE), shed)
    else if (performance.now() - membership.ringSince >= options.afterMs) some(options.perBeat, move)
  }
}

const jitter = (ms: number) => Math.floor(Math.random() * ms)
