/** One device socket, from its first byte to its last. */
import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { limitKeyOfAddress } from '@wmoc/platform/client-address'
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import type {
  CommandResult,
  HttpResponse,
  HttpResponseChunk,
  Log,
  Metrics,
  ServerMessage,
} from '@wmoc/protocol/messages'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import type { WebSocket } from 'ws'
import { toldDelayMs } from '#src/core/admission.ts'
import type { Admission } from '#src/core/admission.ts'
import type { Registration } from '#src/core/control-v2.ts'
import { BINARY, serverFrame, TEXT } from '#src/core/websocket-frame.ts'
import { heartbeatMs, TunnelSession } from '#src/core/tunnel-session.ts'
import type { SessionPorts, SessionRules } from '#src/core/tunnel-session.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Admit } from './admit.ts'
import type { Claims } from './claims.ts'
import { activationRequired, describeDevice } from './device-description.ts'
import type { Disputes } from './disputes.ts'
import type { Ingest } from './ingest.ts'
import { SUBPROTOCOL_V2 } from './listener.ts'
import type { Refusal, Registrar, Verdict } from './registrar.ts'
import { tryLater } from './registrar.ts'
import type { Reporter } from './reporter.ts'
import type { Tunnel, TunnelLink } from './tunnel.ts'

export interface ConnectionDeps {
  readonly admission: Admission
  readonly registrar: Registrar
  readonly claims: Claims
  readonly ingest: Ingest
  readonly reporter: Reporter
  readonly disputes: Disputes
  readonly metrics: GatewayMetrics
  readonly log: Logger
  readonly sessionRules: SessionRules
  readonly admit: Admit
  readonly isDraining: () => boolean
  /** The tunnel is over: out of every list, whatever its socket still does. */
  readonly tunnelClosed: (tunnel: Tunnel, reason: { code: number; reason: string }) => void
  /** The socket is closed. */
  readonly gone: (connection: Connection) => void
}

/** Bytes that may wait for a device that reads slowly, before it is taken for dead. */
const MAX_SOCKET_BACKLOG = 64 * 1_048_576

/** Without closures, because there are as many as tunnels. */
export class Connection implements SessionPorts, TunnelLink {
  readonly websocketId = randomUUID()
  readonly address: string
  readonly dialect: 'v1' | 'v2'
  readonly session: TunnelSession
  tunnel: Tunnel | null = null
  readonly #deps: ConnectionDeps
  readonly #socket: WebSocket
  readonly #stream: Duplex
  #isCounted = true
  #stopWaiting: (() => void) | null = null
  #pingedAt = 0
  #closeReason: { code: number; reason: string } = LOST

  /** @param stream The connection below the WebSocket. */
  constructor(deps: ConnectionDeps, socket: WebSocket, stream: Duplex, address: string) {
    this.#deps = deps
    this.#stream = stream
    this.dialect = socket.protocol === SUBPROTOCOL_V2 ? 'v2' : 'v1'
    this.#socket = socket
    this.address = address
    this.session = new TunnelSession(
      this,
      deps.sessionRules,
      performance.now(),
      heartbeatMs(deps.sessionRules.heartbeatMs, Math.random()),
    )
    connectionOf.set(socket, this)
    socket.on('message', onMessage)
    socket.on('pong', onPong)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  // What its session needs.

  sendText(text: string): void {
    if (!this.isOpen) return
    this.#write(serverFrame(TEXT, text))
  }

  sendTexts(texts: readonly string[]): void {
    this.#stream.cork()
    for (const text of texts) this.sendText(text)
    this.#stream.uncork()
  }

  /** A whole frame, past the library: that would write its head by itself. */
  #write(frame: Buffer): void {
    this.#stream.write(frame)
    if (this.#socket.bufferedAmount > MAX_SOCKET_BACKLOG) this.#socket.terminate()
  }

  ping(): void {
    this.#pingedAt = performance.now()
    this.#socket.ping()
  }

  register(message: Registration): void {
    void this.#register(message).catch((error: unknown) => this.#failed(error))
  }

  response(message: HttpResponse | HttpResponseChunk): void {
    this.tunnel?.response(message)
  }

  frames(message: Uint8Array): string | null {
    return this.tunnel?.frames(message) ?? null
  }

  ingest(message: Metrics | Log, bytes: number): void {
    this.#deps.metrics.messages.inc({ kind: message.type })
    if (this.tunnel !== null) this.#deps.ingest.add(this.tunnel, message, bytes, Date.now())
  }

  commandResult(message: CommandResult): void {
    this.#deps.metrics.messages.inc({ kind: 'command_result' })
    if (this.tunnel === null) return
    this.tunnel.commandDone(message.id)
    this.#deps.reporter.result(this.tunnel.controllerId, message)
  }

  /** Says why, and ends the tunnel at once whatever the socket still does. */
  closeSocket(reason: CloseReason): void {
    this.#closeReason = reason
    this.#leave()
    // A paused socket would never see the peer's answer to the close.
    this.#socket.resume()
    this.#socket.close(reason.code, reason.reason)
  }

  // What its tunnel needs.

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }
  get canTake(): boolean {
    return this.isOpen && !this.#stream.writableNeedDrain
  }
  onceDrained(): void {
    if (this.isOpen) this.#stream.once('drain', () => this.tunnel?.flush())
  }
  control(type: FrameType, payload: Uint8Array): void {
    this.session.control(type, payload, performance.now())
  }
  release(): void {
    this.tunnel = null
    this.session.closed()
    this.#socket.terminate()
  }
  send(message: ServerMessage): void {
    this.session.send(message)
  }
  sendBytes(bytes: Uint8Array): void {
    if (!this.isOpen) return
    this.#write(serverFrame(BINARY, bytes))
  }
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause()
    else this.#socket.resume()
  }
  close(reason: CloseReason): void {
    this.session.close(reason)
  }

  /** It is registered now. */
  attach(tunnel: Tunnel): void {
    this.tunnel = tunnel
    this.#uncount()
  }

  refuse(refusal: Refusal): void {
    const { metrics, reporter, log } = this.#deps
    const { address } = this
    metrics.registerFailures.inc({ reason: refusal.reason ?? refusal.code })
    if (refusal.failedFor !== undefined) {
      const controllerId = refusal.failedFor
      const event = { type: 'auth_failed', controllerId, remoteAddress: address } as const
      reporter.event({ ...event, reason: 'bad_secret', at: Date.now() })
      log.warn('auth', 'wrong device secret', { controllerId, address })
    }
    this.session.refuse(refusal.code, refusal.message, refusal.close, refusal.reconnectAfterMs)
  }

  /**
   * To be called about every second.
   * @param now Of the monotonic clock.
   * @param wasAway Nothing was read from anybody for a while: silence means nothing.
   */
  tick(now: number, wasAway: boolean): void {
    try {
      this.tunnel?.tick(now)
      this.session.tick(now, !wasAway && !this.#socket.isPaused)
    } catch (error) {
      this.broke(error)
    }
  }

  /** An exception escaped from what handles this device. */
  broke(error: unknown): void {
    const { log, disputes } = this.#deps
    const controllerId = this.tunnel?.controllerId
    log.error('tunnel', 'handling a device failed', { controllerId, address: this.address, error })
    if (controllerId !== undefined) void disputes.broke(controllerId, this.address)
    try {
      this.session.refuse('internal_error', 'Something went wrong', CLOSE.overCapacity, 30_000)
    } catch {
      this.#socket.terminate()
    }
  }

  async #register(message: Registration): Promise<void> {
    const { admission, registrar, claims, isDraining } = this.#deps
    if (isDraining()) return this.session.refuse('draining', 'Restarting', CLOSE.restart, ELSEWHERE_MS)
    const waitMs = admission.register(performance.now())
    if (waitMs > 0) return this.refuse(tryLater(toldDelayMs(waitMs, Math.random())))
    const device = describeDevice(message, this.address)
    const verdict = await registrar.identify(message, device)
    if (verdict.kind !== 'claim') return this.#settle(verdict, message, device)
    this.session.claiming(activationRequired(verdict.claim))
    if (this.session.phase !== 'claiming') return
    this.#stopWaiting = claims.wait(verdict.claim, {
      device,
      show: (claim) => this.session.claiming(activationRequired(claim)),
      settle: (settled) =>
        void this.#settle(settled, message, device).catch((error: unknown) => this.#failed(error)),
    })
  }

  async #settle(
    verdict: Exclude<Verdict, { kind: 'claim' }>,
    message: Registration,
    device: DeviceDescription,
  ): Promise<void> {
    if (verdict.kind === 'refused') this.refuse(verdict)
    else await this.#deps.admit(this, verdict, message, device)
    // It holds the whole registration.
    this.#stopWaiting = null
  }

  #failed(error: unknown): void {
    this.#deps.log.error('tunnel', 'registration failed', { error })
    this.refuse(tryLater(5_000))
  }

  #uncount(): void {
    if (this.#isCounted) this.#deps.admission.left(limitKeyOfAddress(this.address))
    this.#isCounted = false
  }

  #leave(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = null
    this.#uncount()
    const closed = this.tunnel
    this.tunnel = null
    if (closed !== null) this.#deps.tunnelClosed(closed, this.#closeReason)
  }

  // What its socket says.

  received(data: Buffer, isBinary: boolean): void {
    try {
      this.session.receive(data, isBinary, performance.now())
    } catch (error) {
      this.broke(error)
    }
  }

  ponged(): void {
    const now = performance.now()
    this.session.ponged(now)
    if (this.#pingedAt > 0) this.#deps.metrics.rtt.observe((now - this.#pingedAt) / 1_000)
    this.#pingedAt = 0
  }

  socketFailed(error: Error & { code?: string }): void {
    // The library closes the socket itself, with 1002, 1007, 1008 or 1009.
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#closeReason = CLOSE.tooBig
    else if (error.code === 'WS_ERR_INVALID_UTF8') this.#closeReason = CLOSE.invalidUtf8
    this.#deps.log.debug('tunnel', 'socket failed', { address: this.address, error })
  }

  socketClosed(code: number): void {
    if (this.session.phase !== 'closed' && code !== 1006 && this.#closeReason === LOST)
      this.#closeReason = { code, reason: 'closed_by_device' }
    this.#deps.gone(this)
    this.session.closed()
    try {
      this.#leave()
    } catch (error) {
      this.broke(error)
    }
  }
}

/** For a device that arrived at a shard that goes: the next try lands elsewhere, and its users' requests wait. */
const ELSEWHERE_MS = 100
const LOST = { code: 1006, reason: 'connection_lost' }

/** The same four listeners serve all sockets: one more closure each would be paid for by every tunnel. */
const connectionOf = new WeakMap<WebSocket, Connection>()

function onMessage(this: WebSocket, data: Buffer, isBinary: boolean): void {
  connectionOf.get(this)!.received(data, isBinary)
}
function onPong(this: WebSocket): void {
  connectionOf.get(this)!.ponged()
}
function onError(this: WebSocket, error: Error): void {
  connectionOf.get(this)!.socketFailed(error)
}
function onClose(this: WebSocket, code: number): void {
  connectionOf.get(this)!.socketClosed(code)
}
