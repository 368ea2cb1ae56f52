/** Every device socket of this process, from its first byte to its last: registration, tunnel, drain. */
import { randomUUID } from 'node:crypto'
import { limitKeyOfAddress } from '@wmoc/platform/client-address'
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type { Register } from '@wmoc/protocol/messages'
import type { WebSocket } from 'ws'
import type { CommandTaker } from '#src/control-plane/commands.ts'
import type { Admission } from '#src/core/admission.ts'
import type { FlapDetector } from '#src/core/flapping.ts'
import type { Hub } from '#src/core/hub.ts'
import { createStreams } from '#src/core/streams.ts'
import type { StreamRules } from '#src/core/streams.ts'
import { createTunnelSession, heartbeatMs } from '#src/core/tunnel-session.ts'
import type { SessionRules, TunnelSession } from '#src/core/tunnel-session.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Claims } from './claims.ts'
import type { Ingest } from './ingest.ts'
import type { PresenceKeeper } from './presence.ts'
import { PRESENCE_TTL_MS } from './presence.ts'
import type { Registrar, Verdict } from './registrar.ts'
import { tryLater } from './registrar.ts'
import type { Reporter } from './reporter.ts'
import { createTunnel } from './tunnel.ts'
import type { Tunnel } from './tunnel.ts'

export interface ConnectionsDeps {
  readonly shard: string
  readonly store: Store
  readonly hub: Hub<Tunnel>
  readonly admission: Admission
  readonly registrar: Registrar
  readonly claims: Claims
  readonly flaps: FlapDetector
  readonly presence: PresenceKeeper
  readonly ingest: Ingest
  readonly reporter: Reporter
  readonly commands: CommandTaker
  readonly metrics: GatewayMetrics
  readonly log: Logger
  readonly sessionRules: SessionRules
  /** All but what the device itself announces. */
  readonly streamRules: Omit<StreamRules, 'maxInFlight'>
  readonly isDraining: () => boolean
}

export interface Connections {
  readonly accept: (socket: WebSocket, address: string) => void
  /** To be called about every second. */
  tick(): void
  /** Sockets, registered or not. */
  readonly size: number
  closeAll(reason: CloseReason): void
  /** When the last tunnel of a controller closed here, since this process runs. Milliseconds since 1970. */
  readonly lastSeenAt: (controllerId: string) => number | null
}

interface Connection {
  readonly session: TunnelSession
  readonly socket: WebSocket
  tunnel: Tunnel | null
}

/** Bytes that may wait for a device that reads slowly, before it is taken for dead. */
const MAX_SOCKET_BACKLOG = 64 * 1_048_576
const MAX_REMEMBERED = 50_000

export function createConnections(deps: ConnectionsDeps): Connections {
  const { hub, metrics, reporter, log } = deps
  const connections = new Set<Connection>()
  const lastSeen = new Map<string, number>()

  function rememberSeen(controllerId: string): void {
    lastSeen.delete(controllerId)
    lastSeen.set(controllerId, Date.now())
    if (lastSeen.size > MAX_REMEMBERED) lastSeen.delete(lastSeen.keys().next().value!)
  }

  function accept(socket: WebSocket, address: string): void {
    const websocketId = randomUUID()
    const addressKey = limitKeyOfAddress(address)
    let isCounted = true
    let stopWaiting: (() => void) | null = null
    let pingedAt = 0
    let closeReason: { code: number; reason: string } = { code: 1006, reason: 'connection_lost' }

    const session = createTunnelSession(
      {
        sendText(text) {
          socket.send(text)
          if (socket.bufferedAmount > MAX_SOCKET_BACKLOG) socket.terminate()
        },
        ping() {
          pingedAt = performance.now()
          socket.ping()
        },
        close(reason) {
          closeReason = reason
          leave()
          // A paused socket would never see the peer's answer to the close.
          socket.resume()
          socket.close(reason.code, reason.reason)
        },
        register: (message) => void register(message),
        response: (message) => connection.tunnel?.streams.receive(message, performance.now()),
        ingest(message, bytes) {
          metrics.messages.inc({ kind: message.type })
          if (connection.tunnel !== null) deps.ingest.add(connection.tunnel, message, bytes, Date.now())
        },
        commandResult(message) {
          metrics.messages.inc({ kind: 'command_result' })
          connection.tunnel?.commandDone(message.id)
          if (connection.tunnel !== null) reporter.result(connection.tunnel.controllerId, message)
        },
      },
      deps.sessionRules,
      performance.now(),
      heartbeatMs(Math.random()),
    )
    const connection: Connection = { session, socket, tunnel: null }
    connections.add(connection)

    function uncount(): void {
      if (isCounted) deps.admission.left(addressKey)
      isCounted = false
    }

    /** Out of every list at once, whatever the socket still does. */
    function leave(): void {
      stopWaiting?.()
      uncount()
      const { tunnel } = connection
      connection.tunnel = null
      if (tunnel === null) return
      const wasCurrent = hub.detach(tunnel)
      tunnel.streams.closeAll('device_disconnected')
      if (wasCurrent) deps.presence.release(tunnel)
      rememberSeen(tunnel.controllerId)
      metrics.closes.inc({ reason: closeReason.reason })
      const { controllerId, epoch } = tunnel
      const { code: closeCode, reason } = closeReason
      reporter.event({
        type: 'disconnected',
        controllerId,
        epoch,
        websocketId,
        closeCode,
        reason,
        at: Date.now(),
      })
      log.info('tunnel', 'tunnel closed', { controllerId, epoch, closeCode, reason })
    }

    function refuse(refusal: Extract<Verdict, { kind: 'refused' }>): void {
      metrics.registerFailures.inc({ reason: refusal.code })
      if (refusal.failedFor !== undefined) {
        const event = { controllerId: refusal.failedFor, remoteAddress: address, at: Date.now() }
        reporter.event({ type: 'auth_failed', reason: 'bad_secret', ...event })
        log.warn('auth', 'wrong device secret', { controllerId: refusal.failedFor, address })
      }
      session.refuse(refusal.code, refusal.message, refusal.close, refusal.reconnectAfterMs)
    }

    async function register(message: Register): Promise<void> {
      const device = describe(message, address)
      try {
        if (deps.isDraining()) return session.refuse('draining', 'Restarting', CLOSE.restart, 1_000)
        const waitMs = deps.admission.register(performance.now())
        if (waitMs > 0) return refuse(tryLater(waitMs + Math.floor(Math.random() * (1_000 + waitMs))))
        const verdict = await deps.registrar.identify(message, device)
        if (verdict.kind !== 'claim') return await settle(verdict, message, device)
        const show = (claim: typeof verdict.claim) => session.claiming(activationRequired(claim))
        show(verdict.claim)
        if (session.phase() !== 'claiming') return
        stopWaiting = deps.claims.wait(verdict.claim, {
          device,
          show,
          settle: (settled) => void settle(settled, message, device).catch(failed),
        })
      } catch (error) {
        failed(error)
      }
    }

    function failed(error: unknown): void {
      log.error('tunnel', 'registration failed', { error })
      refuse(tryLater(5_000))
    }

    async function settle(
      verdict: Exclude<Verdict, { kind: 'claim' }>,
      message: Register,
      device: DeviceDescription,
    ) {
      if (verdict.kind === 'refused') return refuse(verdict)
      const { record } = verdict
      const { controllerId } = record
      const blockedMs = deps.flaps.blockedForMs(controllerId, performance.now())
      if (blockedMs > 0) return refuse({ ...conflict, reconnectAfterMs: Math.ceil(blockedMs) })
      const present = hub.get(controllerId)
      const claim = await deps.store
        .claimPresence(controllerId, {
          shard: deps.shard,
          atLeast: (present?.epoch ?? 0) + 1,
          ttlMs: PRESENCE_TTL_MS,
        })
        .catch(() => null)
      // A secret that was just made has been sent by nobody yet: it is lost with the refusal, but the next slot stays open.
      if (claim === null) return refuse(tryLater(2_000 + Math.floor(Math.random() * 3_000)))
      const { epoch } = claim
      const identity = identityOf(message, address)
      const credentials = message.credentials
      const maxStreams = credentials?.max_streams ?? V1_LIMITS.defaultMaxStreams
      const streams = createStreams(
        { ...deps.streamRules, maxInFlight: maxStreams },
        {
          send: (text) => socket.readyState === socket.OPEN && socket.send(text),
          pause: (isPaused) => (isPaused ? socket.pause() : socket.resume()),
          oddity: (kind) => metrics.oddities.inc({ kind }),
        },
      )
      const tunnel = createTunnel({ record, epoch, websocketId, identity, credentials, session, streams })
      if (socket.readyState !== socket.OPEN || session.phase() === 'closed')
        return deps.presence.release(tunnel)
      const attached = hub.attach(tunnel)
      if (!attached.isAttached) return session.close(CLOSE.superseded)
      connection.tunnel = tunnel
      uncount()
      if (attached.replaced !== null && isConflict(attached.replaced, tunnel)) return
      attached.replaced?.close(CLOSE.superseded)
      metrics.opens.inc({ kind: verdict.how })
      reporter.event({
        type: 'connected',
        controllerId,
        epoch,
        shard: deps.shard,
        websocketId,
        device,
        at: Date.now(),
      })
      log.info('tunnel', 'tunnel opened', { controllerId, epoch, how: verdict.how, address })
      session.registered({
        type: 'registered',
        controllerId,
        status: 'active',
        ...(verdict.secret === null
          ? {}
          : { credentials: { controller_id: controllerId, secret: verdict.secret } }),
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
      deps.commands.request(controllerId)
    }

    /** Two devices with one credential push each other out: both are refused and the owner is told. */
    function isConflict(replaced: Tunnel, tunnel: Tunnel): boolean {
      const { controllerId } = tunnel
      const verdict = deps.flaps.takeover(controllerId, replaced.identity, tunnel.identity, performance.now())
      if (verdict !== 'conflict') return false
      log.warn('security', 'two devices fight over one credential', { controllerId, address })
      reporter.event({
        type: 'auth_failed',
        controllerId,
        remoteAddress: address,
        reason: 'conflict',
        at: Date.now(),
      })
      replaced.close(CLOSE.conflict)
      refuse(conflict)
      return true
    }

    socket.on('message', (data: Buffer, isBinary: boolean) =>
      session.receive(data, isBinary, performance.now()),
    )
    socket.on('pong', () => {
      const now = performance.now()
      session.heard(now)
      if (pingedAt > 0) metrics.rtt.observe((now - pingedAt) / 1_000)
      pingedAt = 0
    })
    socket.on('error', (error: Error & { code?: string }) => {
      // The library closes the socket itself, with 1009 or 1002.
      if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') closeReason = CLOSE.tooBig
      log.debug('tunnel', 'socket failed', { address, error })
    })
    socket.on('close', (code: number) => {
      if (session.phase() !== 'closed' && code !== 1006 && closeReason.code === 1006) {
        closeReason = { code, reason: 'closed_by_device' }
      }
      session.closed()
      leave()
      connections.delete(connection)
    })
  }

  return {
    accept,
    tick() {
      const now = performance.now()
      for (const { session, socket, tunnel } of connections) {
        if (tunnel !== null && tunnel.streams.inFlight() + tunnel.streams.queued() > 0)
          tunnel.streams.tick(now)
        if (tunnel?.isLeaving === true && tunnel.streams.pending() === 0) tunnel.close(CLOSE.restart)
        session.tick(now, !socket.isPaused)
      }
      deps.flaps.sweep(now)
    },
    get size() {
      return connections.size
    },
    closeAll(reason) {
      for (const { session } of connections) session.close(reason)
    },
    lastSeenAt: (controllerId) => lastSeen.get(controllerId) ?? null,
  }
}

const conflict = {
  kind: 'refused',
  code: 'credential_conflict',
  message: 'Another device uses this credential',
  close: CLOSE.conflict,
  reconnectAfterMs: 60_000,
} as const

function activationRequired(claim: Extract<Verdict, { kind: 'claim' }>['claim']) {
  const { userCode, verificationUri, verificationUriComplete, expiresAt } = claim
  const expiresIn = Math.max(0, Math.round((expiresAt - Date.now()) / 1_000))
  return {
    type: 'activation_required',
    userCode,
    verificationUri,
    verificationUriComplete,
    expiresIn,
  } as const
}

/** Not told to the API: what proves the device, and what only the gateway needs. */
const NOT_METADATA = new Set(['mac', 'firmware_version', 'model', 'controller_id', 'secret', 'boot_id'])

function describe(message: Register, remoteAddress: string): DeviceDescription {
  const credentials = message.credentials
  const metadata = Object.entries(credentials ?? {}).filter(([name]) => !NOT_METADATA.has(name))
  return {
    mac: credentials?.mac ?? null,
    firmwareVersion: credentials?.firmware_version ?? null,
    model: credentials?.model ?? null,
    // Defined, never assigned: a key named __proto__ stays data.
    metadata: Object.fromEntries(metadata) as DeviceDescription['metadata'],
    remoteAddress,
  }
}

function identityOf(message: Register, address: string): string {
  return `${message.credentials?.mac ?? ''} ${message.credentials?.boot_id ?? ''} ${address}`
}
