/** One device socket, from its first byte to its last. */
import { randomUUID } from 'node:crypto'
import { limitKeyOfAddress } from '@wmoc/platform/client-address'
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CommandResult, Log, Metrics, Register } from '@wmoc/protocol/messages'
import type { WebSocket } from 'ws'
import type { Admission } from '#src/core/admission.ts'
import { createTunnelSession, heartbeatMs } from '#src/core/tunnel-session.ts'
import type { SessionRules, TunnelSession } from '#src/core/tunnel-session.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Admit } from './admit.ts'
import type { Claims } from './claims.ts'
import { activationRequired, describeDevice } from './device-description.ts'
import type { Ingest } from './ingest.ts'
import type { Refusal, Registrar, Verdict } from './registrar.ts'
import { tryLater } from './registrar.ts'
import type { Reporter } from './reporter.ts'
import type { Tunnel } from './tunnel.ts'

export interface ConnectionDeps {
  readonly admission: Admission
  readonly registrar: Registrar
  readonly claims: Claims
  readonly ingest: Ingest
  readonly reporter: Reporter
  readonly metrics: GatewayMetrics
  readonly log: Logger
  readonly sessionRules: SessionRules
  readonly admit: Admit
  readonly isDraining: () => boolean
  /** The tunnel is over: out of every list, whatever its socket still does. */
  readonly tunnelClosed: (tunnel: Tunnel, reason: { code: number; reason: string }) => void
}

export interface Connection {
  readonly session: TunnelSession
  readonly socket: WebSocket
  readonly websocketId: string
  readonly address: string
  readonly tunnel: Tunnel | null
  /** It is registered now. */
  attach(tunnel: Tunnel): void
  refuse(refusal: Refusal): void
}

/** Bytes that may wait for a device that reads slowly, before it is taken for dead. */
const MAX_SOCKET_BACKLOG = 64 * 1_048_576

/** Begins the conversation. @param gone Called once, when the socket is closed. */
export function createConnection(
  deps: ConnectionDeps,
  socket: WebSocket,
  address: string,
  gone: () => void,
): Connection {
  const { metrics, log } = deps
  const addressKey = limitKeyOfAddress(address)
  let tunnel: Tunnel | null = null
  let isCounted = true
  let stopWaiting: (() => void) | null = null
  let pingedAt = 0
  let closeReason: { code: number; reason: string } = { code: 1006, reason: 'connection_lost' }

  const session = createTunnelSession(
    {
      sendText: send,
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
      register: (message) => void register(message).catch(failed),
      response: (message) => tunnel?.streams.receive(message, performance.now()),
      ingest,
      commandResult,
    },
    deps.sessionRules,
    performance.now(),
    heartbeatMs(Math.random()),
  )

  const connection: Connection = {
    session,
    socket,
    websocketId: randomUUID(),
    address,
    get tunnel() {
      return tunnel
    },
    attach(attached) {
      tunnel = attached
      uncount()
    },
    refuse,
  }

  function send(text: string): void {
    socket.send(text)
    if (socket.bufferedAmount > MAX_SOCKET_BACKLOG) socket.terminate()
  }

  function ingest(message: Metrics | Log, bytes: number): void {
    metrics.messages.inc({ kind: message.type })
    if (tunnel !== null) deps.ingest.add(tunnel, message, bytes, Date.now())
  }

  function commandResult(message: CommandResult): void {
    metrics.messages.inc({ kind: 'command_result' })
    if (tunnel === null) return
    tunnel.commandDone(message.id)
    deps.reporter.result(tunnel.controllerId, message)
  }

  function uncount(): void {
    if (isCounted) deps.admission.left(addressKey)
    isCounted = false
  }

  function leave(): void {
    stopWaiting?.()
    uncount()
    const closed = tunnel
    tunnel = null
    if (closed !== null) deps.tunnelClosed(closed, closeReason)
  }

  function refuse(refusal: Refusal): void {
    metrics.registerFailures.inc({ reason: refusal.code })
    if (refusal.failedFor !== undefined) {
      const controllerId = refusal.failedFor
      deps.reporter.event({
        type: 'auth_failed',
        controllerId,
        remoteAddress: address,
        reason: 'bad_secret',
        at: Date.now(),
      })
      log.warn('auth', 'wrong device secret', { controllerId, address })
    }
    session.refuse(refusal.code, refusal.message, refusal.close, refusal.reconnectAfterMs)
  }

  function failed(error: unknown): void {
    log.error('tunnel', 'registration failed', { error })
    refuse(tryLater(5_000))
  }

  async function register(message: Register): Promise<void> {
    if (deps.isDraining()) return session.refuse('draining', 'Restarting', CLOSE.restart, 1_000)
    const waitMs = deps.admission.register(performance.now())
    // Spread, so that those who were too early do not come together again.
    if (waitMs > 0) return refuse(tryLater(waitMs + Math.floor(Math.random() * (1_000 + waitMs))))
    const device = describeDevice(message, address)
    const settle = (verdict: Exclude<Verdict, { kind: 'claim' }>) =>
      verdict.kind === 'refused' ? refuse(verdict) : deps.admit(connection, verdict, message, device)
    const verdict = await deps.registrar.identify(message, device)
    if (verdict.kind !== 'claim') return settle(verdict)
    session.claiming(activationRequired(verdict.claim))
    if (session.phase() !== 'claiming') return
    stopWaiting = deps.claims.wait(verdict.claim, {
      device,
      show: (claim) => session.claiming(activationRequired(claim)),
      settle: (settled) => void Promise.resolve(settle(settled)).catch(failed),
    })
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
    const isByDevice = session.phase() !== 'closed' && code !== 1006 && closeReason.code === 1006
    if (isByDevice) closeReason = { code, reason: 'closed_by_device' }
    session.closed()
    leave()
    gone()
  })
  return connection
}
