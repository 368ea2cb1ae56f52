/** A tunnel: one line, in the dialect that the gateway chose. */
import { createDialectV1 } from './v1/dialect.ts'
import { createDialectV2 } from './v2/dialect.ts'
import type { Dialect, DialectOptions, SuspendedStreams } from './dialect.ts'
import type { DeviceMessage } from './session.ts'
import { openLine, type Line } from './line.ts'

/** What the device offers: one dialect, or the gateway's choice. */
export const PROTOCOLS = {
  v1: ['wmoc.v1'],
  v2: ['wmoc.v2'],
  auto: ['wmoc.v2', 'wmoc.v1'],
} as const
export type ProtocolName = keyof typeof PROTOCOLS

export interface Tunnel {
  /** Null before it opened. */
  readonly dialect: 'v1' | 'v2' | null
  send(message: DeviceMessage): void
  /** Requests and WebSockets that are not over. */
  readonly inFlight: number
  readonly line: Line
  /** What can go on over another tunnel after this one was lost; null: nothing, and everything is aborted. */
  takeStreams(): SuspendedStreams | null
}

export interface TunnelOptions extends Omit<DialectOptions, 'line'> {
  readonly url: string
  readonly protocol: ProtocolName
  onOpen(): void
  /** Once. Streams still live: `takeStreams` decides what becomes of them. */
  onClose(code: number, reason: string): void
}

/** Opens a tunnel. An old gateway that knows only v1 chooses that. */
export function openTunnel(options: TunnelOptions): Tunnel {
  let dialect: Dialect | null = null
  const line = openLine(options.url, PROTOCOLS[options.protocol], {
    onOpen() {
      dialect = (line.protocol === 'wmoc.v2' ? createDialectV2 : createDialectV1)({ ...options, line })
      options.onOpen()
    },
    onMessage: (data, isBinary) => dialect?.receive(data, isBinary),
    onDrain: () => dialect?.drained(),
    onClose: options.onClose,
  })
  return {
    line,
    send: (message) => dialect?.send(message),
    get dialect() {
      return dialect && (line.protocol === 'wmoc.v2' ? 'v2' : 'v1')
    },
    get inFlight() {
      return dialect?.inFlight ?? 0
    },
    takeStreams() {
      const suspended = dialect?.suspend() ?? null
      if (!suspended) dialect?.abandon()
      return suspended
    },
  }
}
