/**
 * Requests in flight on one v2 tunnel: puts users' streams on those of the mux, and answers credit only for bytes that
 * the user's connection took, so that a slow reader stops its own stream and nobody else's. Pure.
 */
import { RESET } from '@wmoc/protocol/v2/frames'
import type { Mux } from '@wmoc/protocol/v2/mux'
import { Exchanges } from './exchanges.ts'
import type { ExchangePorts, ExchangeRules } from './exchanges.ts'
import { StreamV2, UserEnd } from './stream-v2.ts'
import type { StreamFailure, StreamSink, UpstreamRequest, UpstreamStream } from './upstream.ts'

/**
 * Credit of each stream: together with what a user's connection buffers, at most 192 KiB of a slow reader are held here.
 * The tunnel's is that of as many streams as there can be: what slow readers have not taken must not keep the device from
 * answering somebody else.
 */
export const RECEIVE_WINDOW = { stream: 131_072, connection: 256 * 131_072 } as const

export interface StreamsV2Ports {
  readonly mux: Mux
  now(): number
  /** A user waits for one answer less. */
  settled(): void
  /** A device does not confirm that it stopped. */
  stuck(): void
}

/** Streams of one v2 tunnel; empty at first. */
export class StreamsV2 implements ExchangePorts<StreamV2> {
  readonly exchanges: Exchanges<StreamV2>
  readonly ports: StreamsV2Ports
  readonly #idleTimeoutMs: number

  constructor(rules: ExchangeRules, ports: StreamsV2Ports) {
    this.exchanges = new Exchanges(rules, this)
    this.ports = ports
    this.#idleTimeoutMs = rules.idleTimeoutMs
  }

  /** Bytes of bodies and unacknowledged frames, those of requests that wait for a slot among them. */
  get heldBytes(): number {
    let bytes = this.ports.mux.heldBytes
    for (const { user } of this.exchanges.waiting) bytes += user!.earlyBytes
    return bytes
  }

  /** Null when the queue is full; nothing was kept. */
  open(request: UpstreamRequest, sink: StreamSink): UpstreamStream | null {
    if (!this.exchanges.hasRoom) return null
    const stream = new StreamV2(this, sink, this.ports.now(), request.isLate ?? false)
    const user = new UserEnd(stream, request)
    this.exchanges.open(stream, stream.openedAt)
    return user
  }

  start(stream: StreamV2): void {
    stream.start()
  }

  abandon(stream: StreamV2): void {
    stream.abandon()
  }

  unanswered(): void {
    this.ports.stuck()
  }

  settled(): void {
    this.ports.settled()
  }

  /** Ends what waited too long. To be called about every second while there are requests. */
  tick(now: number): void {
    for (const stream of this.exchanges.active) stream.tick(now, this.#idleTimeoutMs)
    this.exchanges.tick(now)
  }

  /** The tunnel is gone: settles every request. */
  closeAll(failure: StreamFailure): void {
    this.exchanges.closeAll(failure)
    this.ports.mux.closeAll(RESET.disconnected)
  }
}
