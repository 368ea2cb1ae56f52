/** What a dialect is to the rest of a device: control messages both ways, and requests brought to their handlers. */
import type { Handlers } from './handler.ts'
import type { Line } from './line.ts'
import type { DeviceLimits } from './profile.ts'
import type { ControlMessage, DeviceMessage } from './session.ts'

export interface Dialect {
  receive(data: Buffer, isBinary: boolean): void
  send(message: DeviceMessage): void
  /** The line has room again. */
  drained(): void
  /** The line is gone: everything in flight is aborted, unless `suspend` took it. */
  abandon(): void
  /** The line was lost: what can go on over another one; null when the dialect or this session can't. */
  suspend(): SuspendedStreams | null
  /** Requests and WebSockets that are not over. */
  readonly inFlight: number
}

/** Streams of a session without a line (dialect v2). */
export interface SuspendedStreams {
  /** Where they can go on; null: the gateway did not say. */
  readonly shard: string | null
  /** Nobody comes for them. */
  abandon(): void
}

export interface DialectOptions {
  readonly line: Line
  readonly handlers: Handlers
  readonly limits: DeviceLimits
  /** Streams of a line that was lost. */
  readonly suspended: SuspendedStreams | null
  onMessage(message: ControlMessage): void
  /** A request or WebSocket begins. */
  onRequest(request: { method: string; path: string }): void
  /** One is over. */
  onDone(): void
  /** A handler failed, or something that is no message came; the tunnel stays. */
  onFault(error: Error): void
}
