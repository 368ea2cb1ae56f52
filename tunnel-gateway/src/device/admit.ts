/** Lets a device that proved who it is take its controller over: epoch, conflict, tunnel, `registered`. */
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { CommandTaker } from '#src/control-plane/commands.ts'
import type { Registration } from '#src/core/control-v2.ts'
import type { FlapDetector } from '#src/core/flapping.ts'
import type { Hub } from '#src/core/hub.ts'
import type { StreamRules } from '#src/core/streams.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Connection } from './connection.ts'
import { identityOf } from './device-description.ts'
import type { Dispute, DisputeReason, Disputes } from './disputes.ts'
import { createFlusher } from './flusher.ts'
import type { PresenceKeeper } from './presence.ts'
import type { Refusal, Verdict } from './registrar.ts'
import { tryLater } from './registrar.ts'
import type { Reporter } from './reporter.ts'
import type { Tunnel, TunnelHost } from './tunnel.ts'
import { TunnelV1 } from './tunnel-v1.ts'
import { TunnelV2 } from './tunnel-v2.ts'

export interface AdmitDeps {
  readonly shard: string
  readonly hub: Hub<Tunnel>
  readonly flaps: FlapDetector
  readonly presence: PresenceKeeper
  readonly disputes: Disputes
  readonly reporter: Reporter
  readonly commands: CommandTaker
  readonly metrics: GatewayMetrics
  readonly log: Logger
  /** All but what the device itself announces. */
  readonly streamRules: Omit<StreamRules, 'maxInFlight'>
  /** A tunnel that waits without a socket is over. */
  ended(tunnel: Tunnel, reason: CloseReason): void
}

type Known = Extract<Verdict, { kind: 'known' }>

export type Admit = (
  connection: Connection,
  known: Known,
  message: Registration,
  device: DeviceDescription,
) => Promise<void>

const REFUSALS: Record<DisputeReason, Omit<Refusal, 'reconnectAfterMs'>> = {
  conflict: {
    kind: 'refused',
    code: 'credential_conflict',
    message: 'Another device uses this credential',
    close: CLOSE.conflict,
  },
  quarantined: {
    kind: 'refused',
    code: 'quarantined',
    message: 'Kept out for a while',
    close: CLOSE.overCapacity,
  },
}
const CONFLICT_MS = 60_000

export function createAdmit(deps: AdmitDeps): Admit {
  const { hub, metrics, reporter, log } = deps
  const host: TunnelHost = {
    streamRules: deps.streamRules,
    oddity: (kind) => metrics.oddities.inc({ kind }),
    retired: (tunnel) => void hub.detach(tunnel),
    flushSoon: createFlusher(),
    ended: deps.ended,
  }

  /** Two devices with one credential push each other out: both are refused and the owner is told. */
  function isConflict(connection: Connection, replaced: Tunnel, tunnel: Tunnel): boolean {
    const { controllerId } = tunnel
    const verdict = deps.flaps.takeover(controllerId, replaced.identity, tunnel.identity, performance.now())
    if (verdict !== 'conflict') return false
    void deps.disputes.begin(controllerId, 'conflict', connection.address)
    replaced.close(CLOSE.conflict)
    connection.refuse({ ...REFUSALS.conflict, reconnectAfterMs: CONFLICT_MS })
    return true
  }

  function welcome({ session }: Connection, tunnel: Tunnel, secret: string | null, isResumed = false): void {
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
        maxStreams: tunnel.maxStreams,
        maxRequestBody: Math.min(tunnel.maxRequestBody, Number.MAX_SAFE_INTEGER),
        maxResponseBody: tunnel.takesStreams ? Number.MAX_SAFE_INTEGER : deps.streamRules.maxBodyBytes,
        maxItemsPerBatch: V1_LIMITS.maxItemsPerBatch,
      },
      ...(tunnel instanceof TunnelV2 ? tunnel.welcome(isResumed, deps.shard) : {}),
    })
  }

  async function disputeOf(controllerId: string): Promise<Dispute | null> {
    const forMs = deps.flaps.blockedForMs(controllerId, performance.now())
    return forMs > 0 ? { reason: 'conflict', forMs } : deps.disputes.of(controllerId)
  }

  /** The device lost its socket for a moment: its tunnel goes on with the new one, and nobody else is told. */
  function resume(
    connection: Connection,
    { resume: given }: Registration,
    controllerId: string,
  ): Tunnel | null {
    const tunnel = hub.get(controllerId)
    if (given === undefined || !(tunnel instanceof TunnelV2) || !tunnel.resume(connection, given)) return null
    connection.attach(tunnel)
    return tunnel
  }

  function create(
    connection: Connection,
    message: Registration,
    controllerId: string,
    epoch: number,
  ): Tunnel {
    const { websocketId, address } = connection
    const identity = identityOf(message, address)
    const { credentials } = message
    const options = { controllerId, epoch, websocketId, identity, credentials, link: connection }
    return connection.dialect === 'v2' ? new TunnelV2(host, options, message) : new TunnelV1(host, options)
  }

  return async (connection, { record, secret, how }, message, device) => {
    const { controllerId } = record
    const { session, websocketId, address } = connection
    const dispute = await disputeOf(controllerId)
    if (dispute !== null)
      return connection.refuse({ ...REFUSALS[dispute.reason], reconnectAfterMs: Math.ceil(dispute.forMs) })
    const resumed = resume(connection, message, controllerId)
    if (resumed !== null) {
      welcome(connection, resumed, secret, true)
      return deps.commands.request(controllerId)
    }
    const claimed = await deps.presence.claim(controllerId, (hub.get(controllerId)?.epoch ?? 0) + 1)
    if (claimed === null) return connection.refuse(tryLater(2_000 + Math.floor(Math.random() * 3_000)))
    const { epoch, isTakeover } = claimed

    const tunnel = create(connection, message, controllerId, epoch)
    if (isTakeover && (await deps.disputes.takenOver(controllerId, tunnel.identity))) {
      await deps.disputes.begin(controllerId, 'conflict', address)
      deps.presence.release(tunnel)
      return connection.refuse({ ...REFUSALS.conflict, reconnectAfterMs: CONFLICT_MS })
    }
    if (!connection.isOpen || session.phase === 'closed') return deps.presence.release(tunnel)
    const attached = hub.attach(tunnel)
    if (!attached.isAttached) return session.close(CLOSE.superseded)
    connection.attach(tunnel)
    if (attached.replaced?.isLeaving === false && isConflict(connection, attached.replaced, tunnel)) return
    attached.replaced?.supersede()

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
    welcome(connection, tunnel, secret)
    deps.commands.request(controllerId)
  }
}
