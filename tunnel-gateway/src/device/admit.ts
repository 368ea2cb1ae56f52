/** Lets a device that proved who it is take its controller over: epoch, conflict, tunnel, `registered`. */
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type { Register } from '@wmoc/protocol/messages'
import type { CommandTaker } from '#src/control-plane/commands.ts'
import type { FlapDetector } from '#src/core/flapping.ts'
import type { Hub } from '#src/core/hub.ts'
import { createStreams } from '#src/core/streams.ts'
import type { StreamRules, Streams } from '#src/core/streams.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Connection } from './connection.ts'
import { identityOf } from './device-description.ts'
import type { PresenceKeeper } from './presence.ts'
import { PRESENCE_TTL_MS } from './presence.ts'
import type { Verdict } from './registrar.ts'
import { tryLater } from './registrar.ts'
import type { Reporter } from './reporter.ts'
import { createTunnel } from './tunnel.ts'
import type { Tunnel } from './tunnel.ts'

export interface AdmitDeps {
  readonly shard: string
  readonly store: Store
  readonly hub: Hub<Tunnel>
  readonly flaps: FlapDetector
  readonly presence: PresenceKeeper
  readonly reporter: Reporter
  readonly commands: CommandTaker
  readonly metrics: GatewayMetrics
  readonly log: Logger
  /** All but what the device itself announces. */
  readonly streamRules: Omit<StreamRules, 'maxInFlight'>
}

type Known = Extract<Verdict, { kind: 'known' }>

export type Admit = (
  connection: Connection,
  known: Known,
  message: Register,
  device: DeviceDescription,
) => Promise<void>

const conflict = {
  kind: 'refused',
  code: 'credential_conflict',
  message: 'Another device uses this credential',
  close: CLOSE.conflict,
  reconnectAfterMs: 60_000,
} as const

export function createAdmit(deps: AdmitDeps): Admit {
  const { hub, metrics, reporter, log } = deps

  /** The next epoch; null while the store is away. */
  async function claimEpoch(controllerId: string): Promise<number | null> {
    const atLeast = (hub.get(controllerId)?.epoch ?? 0) + 1
    const claim = { shard: deps.shard, atLeast, ttlMs: PRESENCE_TTL_MS }
    return deps.store.claimPresence(controllerId, claim).then(
      ({ epoch }) => epoch,
      () => null,
    )
  }

  function streamsOf({ socket }: Connection, maxInFlight: number): Streams {
    return createStreams(
      { ...deps.streamRules, maxInFlight },
      {
        send: (text) => socket.readyState === socket.OPEN && socket.send(text),
        pause: (isPaused) => (isPaused ? socket.pause() : socket.resume()),
        oddity: (kind) => metrics.oddities.inc({ kind }),
      },
    )
  }

  /** Two devices with one credential push each other out: both are refused and the owner is told. */
  function isConflict(connection: Connection, replaced: Tunnel, tunnel: Tunnel): boolean {
    const { controllerId } = tunnel
    const verdict = deps.flaps.takeover(controllerId, replaced.identity, tunnel.identity, performance.now())
    if (verdict !== 'conflict') return false
    const { address } = connection
    log.warn('security', 'two devices fight over one credential', { controllerId, address })
    reporter.event({
      type: 'auth_failed',
      controllerId,
      remoteAddress: address,
      reason: 'conflict',
      at: Date.now(),
    })
    replaced.close(CLOSE.conflict)
    connection.refuse(conflict)
    return true
  }

  function welcome({ session }: Connection, tunnel: Tunnel, secret: string | null, maxStreams: number): void {
    const { controllerId, epoch } = tunnel
    session.registered({
      type: 'registered',
      controllerId,
      status: 'active',
      ...(secret === null ? {} : { credentials: { controller_id: controllerId, secret } }),
      epoch,
      heartbeatSec: V1_LIMITS.heartbeatSec,
      serverTimeMs: Date.now(),
      limits: {
        maxMessageBytes: V1_LIMITS.maxMessageBytes,
        maxStreams,
        maxRequestBody: tunnel.maxRequestBody,
        maxResponseBody: deps.streamRules.maxBodyBytes,
        maxItemsPerBatch: V1_LIMITS.maxItemsPerBatch,
      },
    })
  }

  return async (connection, { record, secret, how }, message, device) => {
    const { controllerId } = record
    const { session, socket, websocketId, address } = connection
    const blockedMs = deps.flaps.blockedForMs(controllerId, performance.now())
    if (blockedMs > 0) return connection.refuse({ ...conflict, reconnectAfterMs: Math.ceil(blockedMs) })
    const epoch = await claimEpoch(controllerId)
    if (epoch === null) return connection.refuse(tryLater(2_000 + Math.floor(Math.random() * 3_000)))

    const { credentials } = message
    const maxStreams = credentials?.max_streams ?? V1_LIMITS.defaultMaxStreams
    const identity = identityOf(message, address)
    const streams = streamsOf(connection, maxStreams)
    const tunnel = createTunnel({ record, epoch, websocketId, identity, credentials, session, streams })
    if (socket.readyState !== socket.OPEN || session.phase() === 'closed')
      return deps.presence.release(tunnel)
    const attached = hub.attach(tunnel)
    if (!attached.isAttached) return session.close(CLOSE.superseded)
    connection.attach(tunnel)
    if (attached.replaced !== null && isConflict(connection, attached.replaced, tunnel)) return
    attached.replaced?.close(CLOSE.superseded)

    metrics.opens.inc({ kind: how })
    reporter.event({
      type: 'connected',
      controllerId,
      epoch,
      shard: deps.shard,
      websocketId,
      device,
      at: Date.now(),
    })
    log.info('tunnel', 'tunnel opened', { controllerId, epoch, how, address })
    welcome(connection, tunnel, secret, maxStreams)
    deps.commands.request(controllerId)
  }
}
