/**
 * Finds where a controller's requests go: its tunnel here, where it was found before, where the ring places it, where the
 * shared store says it is; and lets a request wait for a controller that is on its way from one shard to another.
 */
import { appError } from '@wmoc/platform/errors'
import type { Presence } from '@wmoc/platform/store'
import { LRUCache } from 'lru-cache'
import type { Membership } from '#src/cluster/members.ts'
import type { Router, Upstream } from '#src/core/upstream.ts'
import type { PeerLinks } from './links.ts'
import type { LocalTunnels } from './local-tunnels.ts'
import { createWaiting } from './waiting.ts'
import type { Verdict, WaitingLimits } from './waiting.ts'
import { RemoteUpstream } from './remote-upstream.ts'
import type { RemoteHost } from './remote-upstream.ts'

const MAX_LOCATIONS = 100_000
const RETRY_AFTER_MS = 2_000

export interface PeerRouter extends Router, RemoteHost {
  /** A tunnel of this controller was registered here. */
  attached(controllerId: string): void
  /** Requests that wait to be told where to go; of these, `parked` for a controller that moves. */
  readonly waiting: number
  readonly parked: number
  readonly locations: number
  invariants(): string[]
}

export interface RouterCounts {
  forwarded(isRepeated: boolean): void
  parked(isInVain: boolean): void
}

export function createPeerRouter(options: {
  /** This process. */
  readonly instance: string
  readonly tunnels: LocalTunnels
  readonly links: Pick<PeerLinks, 'to' | 'wasHereLately'>
  readonly membership: Pick<Membership, 'members' | 'find' | 'ring'>
  /** Rejects when the store is away. */
  presence(controllerId: string): Promise<Presence | null>
  readonly counts: RouterCounts
  readonly limits?: Partial<WaitingLimits>
  /** Null, or a promise while what is known here may be of the past. */
  whenSound(): Promise<void> | null
}): PeerRouter {
  const { instance: self, tunnels, links, membership } = options
  const locations = new LRUCache<string, RemoteUpstream>({ max: MAX_LOCATIONS })
  const waiting = createWaiting({
    find,
    again: async (controllerId) => judge(controllerId, await options.presence(controllerId)),
    parked: (isInVain) => options.counts.parked(isInVain),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })

  function known(controllerId: string): Upstream | undefined {
    const tunnel = tunnels.get(controllerId)
    if (tunnel?.isAccepting === true) return tunnel
    const location = locations.get(controllerId)
    return location?.link.isUsable === true ? location : undefined
  }

  /** By the ring, else by the store. */
  async function find(controllerId: string): Promise<Verdict> {
    const owner = membership.ring().ownerOf(controllerId)
    const member = owner === null ? undefined : membership.find(owner)
    if (member !== undefined && member.instance !== self) {
      const verdict = await ask(member.instance, controllerId)
      if (typeof verdict === 'object' || verdict === 'moving') return verdict
    }
    let presence: Presence | null
    try {
      presence = await options.presence(controllerId)
    } catch {
      return askEveryone(controllerId)
    }
    return judge(controllerId, presence)
  }

  /** Where one shard says the controller is; `unreachable`: it said nothing. */
  async function ask(instance: string, controllerId: string): Promise<Verdict | 'unreachable'> {
    const link = links.to(instance)
    const found = await link?.locate(controllerId)
    if (link === undefined || found === undefined) return 'unreachable'
    if (found === null) return 'absent'
    if (found === 'leaving') return 'moving'
    const present = locations.get(controllerId)
    if (present?.link.isUsable === true && present.epoch > found.epoch) return present
    const location = new RemoteUpstream(router, link, controllerId, found)
    locations.set(controllerId, location)
    return location
  }

  async function judge(controllerId: string, presence: Presence | null): Promise<Verdict> {
    const tunnel = tunnels.get(controllerId)
    if (tunnel?.isAccepting === true) return tunnel
    if (tunnel?.isLeaving === true && presence?.epoch === tunnel.epoch) return 'moving'
    if (presence === null) return 'absent'
    if (presence.isMoving) return 'moving'
    // Written before the tunnel takes requests, and removed after it stopped to.
    if (presence.shard === self) return 'unsettled'
    const verdict = await ask(presence.shard, controllerId)
    if (verdict === 'absent') return 'unsettled'
    if (verdict !== 'unreachable') return verdict
    return links.wasHereLately(presence.shard) ? 'moving' : 'absent'
  }

  /** Without the store: who is reached and says no is believed, whoever is not leaves it undecided. */
  async function askEveryone(controllerId: string): Promise<Verdict> {
    const others = membership.members().filter(({ instance }) => instance !== self)
    const verdicts = await Promise.all(others.map(({ instance }) => ask(instance, controllerId)))
    const found = verdicts.find((verdict) => typeof verdict === 'object')
    if (found !== undefined) return found
    if (verdicts.includes('moving') || tunnels.get(controllerId)?.isLeaving === true) return 'moving'
    if (verdicts.includes('unreachable'))
      throw appError('dependency_unavailable', { retryAfterMs: RETRY_AFTER_MS })
    return 'absent'
  }

  const router: PeerRouter = {
    locate(controllerId) {
      const sound = options.whenSound()
      if (sound !== null) return sound.then(() => router.locate(controllerId))
      return known(controllerId) ?? waiting.join(controllerId)
    },
    async relocate(lost) {
      const { controllerId } = lost
      if (locations.get(controllerId) === lost) locations.delete(controllerId)
      return known(controllerId) ?? waiting.join(controllerId)
    },
    forwarded: (isRepeated) => options.counts.forwarded(isRepeated),
    attached(controllerId) {
      locations.delete(controllerId)
      const tunnel = tunnels.get(controllerId)
      if (tunnel?.isAccepting === true) waiting.settle(controllerId, tunnel)
    },
    get waiting() {
      return waiting.size
    },
    get parked() {
      return waiting.parked
    },
    get locations() {
      return locations.size
    },
    invariants: () => waiting.invariants(),
  }
  return router
}
