/**
 * A registered controller's tunnel: what the rest of the gateway does with it, in either dialect.
 *
 * Its end: `goAway` tells the device to leave. One that announced `overlap` opens its next tunnel first, and this one
 * takes requests until that is there; then it is `retire`d, finishes what it has and closes with 1012. Any other device
 * must lose this tunnel before it comes back: it takes new requests only as long as older ones keep it here anyway.
 */
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { QueuedCommand } from '@wmoc/protocol/control-plane'
import { DEVICE_FEATURES, V1_LIMITS } from '@wmoc/protocol/messages'
import type {
  CommandResult,
  DeviceCredentials,
  DeviceFeature,
  GoAway,
  HttpResponse,
  HttpResponseChunk,
  ServerMessage,
} from '@wmoc/protocol/messages'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import type { Exchange, Exchanges } from '#src/core/exchanges.ts'
import type { HubEntry } from '#src/core/hub.ts'
import type { StreamRules } from '#src/core/streams.ts'
import type { StreamFailure, StreamSink, Upstream } from '#src/core/upstream.ts'
import type { UpstreamRequest, UpstreamStream } from '#src/core/upstream.ts'

/** The socket below, as a tunnel sees it. */
export interface TunnelLink {
  readonly isOpen: boolean
  send(message: ServerMessage): void
  /** Messages that are text already, in one write; dialect v1. */
  sendTexts(texts: readonly string[]): void
  /** Whole frames; dialect v2. */
  sendBytes(bytes: Uint8Array): void
  /** The socket takes more at once; else `flush` is called when it does, after `onceDrained`. */
  readonly canTake: boolean
  onceDrained(): void
  /** A frame of the connection itself; dialect v2. */
  control(type: FrameType, payload: Uint8Array): void
  commandResult(message: CommandResult): void
  /** Reading from the device stops (true) or goes on (false). */
  pause(isPaused: boolean): void
  close(reason: CloseReason): void
  /** An exception escaped from what handles this device. */
  broke(error: unknown): void
  /** Its tunnel goes on with another socket: this one ends without a word. */
  release(): void
}

/** What all tunnels of a process share. */
export interface TunnelHost {
  /** All but what a device itself announces. */
  readonly streamRules: Omit<StreamRules, 'maxInFlight'>
  /** Something that an honest device does not send; `kind` is a metric label. */
  oddity(kind: 'unknown_id' | 'out_of_order' | 'bad_body'): void
  /** Calls its `flush` at the end of this turn of the event loop. */
  flushSoon(tunnel: Tunnel): void
  /** A tunnel without a socket is over. */
  ended(tunnel: Tunnel, reason: CloseReason): void
  /** It takes no requests any more, and its controller may be somewhere else. */
  retired(tunnel: Tunnel): void
}

export interface TunnelOptions {
  readonly controllerId: string
  readonly epoch: number
  readonly websocketId: string
  /** Tells two devices with one credential apart, as far as they show it. */
  readonly identity: string
  readonly credentials: DeviceCredentials | undefined
  readonly link: TunnelLink
}

/** Commands that may wait for their results on one tunnel. */
const MAX_SENT_COMMANDS = 1_000
/** Beyond what `goaway` said, before a tunnel is closed whose device does not open its next one. */
const OVERLAP_GRACE_MS = 30_000
const NO_HOSTS: readonly string[] = []
const NO_PORTS: readonly number[] = []

export abstract class Tunnel implements HubEntry, Upstream {
  readonly controllerId: string
  readonly epoch: number
  readonly websocketId: string
  readonly identity: string
  readonly maxRequestHeader: number
  readonly ownHosts: readonly string[]
  readonly ports: readonly number[]
  /** Scope of `seq` in metrics and logs. */
  readonly ingestStream: string
  /** It was told to go. */
  isLeaving = false
  protected readonly host: TunnelHost
  protected link: TunnelLink
  readonly #features: number
  #isRetired = false
  #leavingSince = 0
  #leaveBy = Infinity
  /** Ids sent on this tunnel and not answered, so that a repeated fetch does not repeat them. */
  #sentCommands: Set<string> | null = null

  constructor(host: TunnelHost, options: TunnelOptions) {
    const { credentials } = options
    this.host = host
    this.link = options.link
    this.controllerId = options.controllerId
    this.epoch = options.epoch
    this.websocketId = options.websocketId
    this.identity = options.identity
    this.maxRequestHeader = credentials?.max_req_header ?? V1_LIMITS.defaultMaxRequestHeader
    this.ownHosts = ownHosts(credentials)
    this.ports = credentials?.page_ports ?? NO_PORTS
    this.ingestStream = credentials?.boot_id ?? options.websocketId
    this.#features = featureBits(credentials?.features)
  }

  abstract readonly dialect: 'v1' | 'v2'
  /** Requests that the device takes at a time. */
  abstract readonly maxStreams: number
  abstract readonly maxRequestBody: number
  abstract readonly takesStreams: boolean
  abstract readonly takesWebSockets: boolean
  abstract open(request: UpstreamRequest, sink: StreamSink): UpstreamStream | StreamFailure
  /** Null before the first request. */
  protected abstract readonly exchanges: Exchanges<Exchange> | null
  abstract invariants(): string[]
  /** To be called about every second. */
  abstract tickStreams(now: number): void

  /** Whether the device can take this message. */
  protected fits(_message: ServerMessage): boolean {
    return true
  }
  /** An answer in dialect v1. */
  response(_message: HttpResponse | HttpResponseChunk): void {}
  /** A message in dialect v2. Words: why it can't go on. */
  frames(_message: Uint8Array): string | null {
    return null
  }
  /** Sends what waits. */
  flush(): void {}
  /** The socket was lost without a word. True: the tunnel waits for its device to come back. */
  suspend(): boolean {
    return false
  }

  get hop(): 'local' {
    return 'local'
  }
  hasFeature(feature: DeviceFeature): boolean {
    return (this.#features & featureBit(feature)) !== 0
  }
  /** Requests that the device holds, those that it was told to stop among them. */
  inFlight(): number {
    return this.exchanges?.inFlight ?? 0
  }
  queued(): number {
    return this.exchanges?.queued ?? 0
  }
  /** Requests that a user still waits for. */
  pending(): number {
    return this.exchanges?.pending() ?? 0
  }
  get isIdle(): boolean {
    return this.pending() === 0
  }
  /** Whether `open` takes requests. */
  get isAccepting(): boolean {
    if (this.#isRetired || !this.isAlive) return false
    return !this.isLeaving || this.hasFeature('overlap') || this.#hasOldWork()
  }
  /** Its device is here, or expected back within the time of `resume`. */
  protected get isAlive(): boolean {
    return this.link.isOpen
  }

  #hasOldWork(): boolean {
    return (this.exchanges?.pending(this.#leavingSince) ?? 0) > 0
  }

  command(command: QueuedCommand): void {
    this.#sentCommands ??= new Set()
    if (this.#sentCommands.has(command.id) || this.#sentCommands.size >= MAX_SENT_COMMANDS) return
    this.#sentCommands.add(command.id)
    const { id, name, params, expiresAt } = command
    const message = { type: 'command', id, name, params, expiresAt } as const
    if (this.fits(message)) this.link.send(message)
    else
      this.link.commandResult({
        type: 'command_result',
        id,
        ok: false,
        error: 'larger than the device takes',
      })
  }

  /** What was sent may be lost: commands that are taken again are sent again. */
  protected forgetCommands(): void {
    this.#sentCommands = null
  }

  commandDone(id: string): void {
    this.#sentCommands?.delete(id)
    if (this.#sentCommands?.size === 0) this.#sentCommands = null
  }

  acknowledge(seq: number): void {
    this.link.send({ type: 'ack', seq })
  }

  /** Tells the device to go; see above what follows. */
  goAway(message: GoAway): void {
    const now = performance.now()
    this.link.send(message)
    this.isLeaving = true
    this.#leavingSince = now
    if (this.hasFeature('overlap')) this.#leaveBy = now + message.reconnectAfterMs + OVERLAP_GRACE_MS
    this.settled()
  }

  /** Told to go long ago: takes no more requests, though older ones are under way. Those that come wait for the next tunnel. */
  finish(): void {
    this.#leavingSince = 0
    this.settled()
  }

  /** A newer tunnel of the controller is there, here or on another shard. */
  supersede(): void {
    if (this.isLeaving && this.hasFeature('overlap')) this.retire()
    else this.close(CLOSE.superseded)
  }

  /** Takes no more requests, and closes with 1012 once nobody waits for an answer any more. */
  retire(): void {
    this.isLeaving = true
    this.#isRetired = true
    this.host.retired(this)
    this.settled()
  }

  /** A user waits for one answer less. */
  settled(): void {
    if (!this.isLeaving || !this.isIdle) return
    if (this.#isRetired || !this.hasFeature('overlap')) this.close(CLOSE.restart)
  }

  /** To be called about every second. @param now Of the monotonic clock. */
  tick(now: number): void {
    if (this.exchanges !== null && this.exchanges.size > 0) this.tickStreams(now)
    if (now > this.#leaveBy && !this.#isRetired) this.retire()
  }

  close(reason: CloseReason): void {
    this.link.close(reason)
  }

  /** The socket is gone: settles every request. */
  closed(): void {
    this.#isRetired = true
    this.exchanges?.closeAll('device_disconnected')
  }
}

/** Names under which firmware tells its own address. */
const ADDRESS_FIELDS = [
  'ip',
  'local_ip',
  'ip_address',
  'lan_ip',
  'hostname',
  'host',
  'mdns',
  'local_address',
] as const

function ownHosts(credentials: DeviceCredentials | undefined): readonly string[] {
  const hosts: string[] = []
  for (const field of ADDRESS_FIELDS) {
    const value = credentials?.[field]
    if (typeof value !== 'string' || value.length > 100 || !/^[a-z0-9.:[\]-]+$/i.test(value)) continue
    const host = value.toLowerCase()
    hosts.push(host)
    if (field === 'hostname' || field === 'mdns') hosts.push(`${host}.local`)
  }
  return hosts.length === 0 ? NO_HOSTS : hosts
}

function featureBit(feature: DeviceFeature): number {
  return 1 << DEVICE_FEATURES.indexOf(feature)
}

function featureBits(announced: readonly string[] | undefined): number {
  let bits = 0
  for (const feature of DEVICE_FEATURES) if (announced?.includes(feature)) bits |= featureBit(feature)
  return bits
}
