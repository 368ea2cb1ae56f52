/** Puts the parts of a hop together: links to and from other shards, and the router that uses them. */
import type { Logger } from '@wmoc/platform/log'
import type { Tracing } from '@wmoc/platform/tracing'
import type { Store } from '@wmoc/platform/store'
import type { Membership } from '#src/cluster/members.ts'
import { factsOf } from './calls.ts'
import type { AnswerCall, Whereabouts } from './calls.ts'
import { peerKey } from './handshake.ts'
import { createPeerLinks } from './links.ts'
import { createPeerListener } from './listener.ts'
import type { LocalTunnels } from './local-tunnels.ts'
import type { PeerMetrics } from './metrics.ts'
import { createPresences } from './presences.ts'
import { createPeerRouter } from './router.ts'
import type { PeerRouter } from './router.ts'
import { serveRequest } from './serve.ts'
import type { ServedAnswer } from './served-answer.ts'
import type { WaitingLimits } from './waiting.ts'

export interface Peers {
  readonly router: PeerRouter
  /** The port that other shards dial, once `listen` resolved. */
  readonly port: number
  /** First: the other shards learn the address from the membership. */
  listen(): Promise<void>
  /** Dials the others; once the membership runs. */
  start(): void
  /** After the tunnels: late requests of others are answered `notHere` until they have stopped to come. */
  stop(): Promise<void>
  /** Whether that instance answers over its link. */
  reaches(instance: string): boolean
  /** A controller registered here that `instance` held until now. */
  tellSuperseded(instance: string, controllerId: string, epoch: number): void
  /** Requests of other shards that are under way here. */
  readonly serving: number
  /** Of these, ends event streams between two events, and closes WebSockets. */
  endStreams(): void
  /** Part of `GET /status`. */
  status(): {
    peers: { instance: string; isUp: boolean; streams: number }[]
    serving: number
    heldBytes: number
    parked: number
    locating: number
  }
  invariants(): string[]
}

const nothing: LocalTunnels = { get: () => undefined }

export function createPeers(options: {
  readonly host: string
  readonly port: number
  /** Of all our processes; the key of the links is made from it. */
  readonly internalToken: string
  /** This process. */
  readonly instance: string
  readonly membership: Pick<Membership, 'members' | 'find' | 'ring' | 'onChange'>
  readonly tunnels: LocalTunnels
  readonly store: Pick<Store, 'getPresence'>
  readonly metrics: PeerMetrics
  readonly tracing: Tracing | null
  readonly log: Logger
  readonly limits?: Partial<WaitingLimits>
  /** Null, or a promise while what this process holds may be of the past, since it stood still. */
  whenSound(): Promise<void> | null
  /** Another shard has a newer tunnel of this controller: the one here, of an older epoch, ends. */
  superseded(controllerId: string, epoch: number): void
}): Peers {
  const { instance, membership, tunnels, metrics, log } = options
  const key = peerKey(options.internalToken)
  const onFailure = metrics.linkFailed
  const links = createPeerLinks({ instance, membership, key, log, onFailure })
  const router = createPeerRouter({
    instance,
    tunnels,
    links,
    membership,
    presence: createPresences(options.store),
    counts: metrics,
    whenSound: () => options.whenSound(),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })

  const answerCall: AnswerCall = (call) => {
    if (call.name === 'locate') return call.params.controllers.map(whereabouts)
    options.superseded(call.params.controller, call.params.epoch)
    return undefined
  }

  function whereabouts(controllerId: string): Whereabouts {
    const tunnel = tunnels.get(controllerId)
    if (tunnel === undefined) return null
    if (options.whenSound() !== null) return 'leaving'
    if (tunnel.isAccepting) return factsOf(tunnel)
    return tunnel.isLeaving ? 'leaving' : null
  }

  const endless = new Set<ServedAnswer>()
  const listener = createPeerListener({
    host: options.host,
    port: options.port,
    key,
    instance,
    log,
    onFailure,
    answer: answerCall,
    accept: (...given) =>
      serveRequest(options.whenSound() !== null ? nothing : tunnels, endless, options.tracing, ...given),
  })
  metrics.watch({
    dialled: () => links.up,
    accepted: () => listener.up,
    streams: () => links.streams,
    parked: () => router.parked,
    waiting: () => router.waiting,
  })

  return {
    router,
    get port() {
      return listener.port
    },
    listen: () => listener.start(),
    start: () => links.start(),
    async stop() {
      await listener.stop()
      links.stop()
    },
    reaches: (other) => links.to(other) !== undefined,
    tellSuperseded: (holder, controllerId, epoch) => links.to(holder)?.superseded(controllerId, epoch),
    get serving() {
      return listener.streams
    },
    endStreams() {
      for (const served of endless) served.leave()
    },
    status: () => ({
      peers: links.list(),
      serving: listener.streams,
      heldBytes: links.heldBytes + listener.heldBytes,
      parked: router.parked,
      locating: router.waiting,
    }),
    invariants: () => [...links.invariants(), ...listener.invariants(), ...router.invariants()],
  }
}
