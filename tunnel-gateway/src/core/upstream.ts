/**
 * Where a controller's requests go: a tunnel of this process, in either dialect, or a tunnel of another shard. The
 * user's side knows nothing else of devices, and devices nothing else of users.
 */
import type { HeaderList } from '@wmoc/protocol/v2/mux'
import type { HeaderBlock } from './header-names.ts'

export type StreamFailure =
  /** The device may have got the request. */
  | 'device_disconnected'
  /** The device got nothing of it: it went, and did not come back in time. */
  | 'device_offline'
  | 'device_timeout'
  | 'bad_device_response'
  | 'overloaded'
  | 'slow_reader'
  | 'access_ended'
  /** The device can't do what was asked of it (a WebSocket over dialect v1). Nothing was sent. */
  | 'not_supported'

export interface UpstreamRequest {
  readonly method: string
  /** Raw path and query. */
  readonly path: string
  /** Name after value, the names in lower case, as the header diet left them; trimmed to `maxRequestHeader` by whoever made them. */
  readonly headers: HeaderList
  /** What follows: nothing, a body by `write` … `end`, or, once the device said 101, a WebSocket's messages. */
  readonly kind: 'bodiless' | 'body' | 'websocket'
  /** Of the body; null: unknown. */
  readonly bodyLength: number | null
  /** A person can do without it for a moment: where requests have to wait, it waits behind the others. */
  readonly isLate?: boolean
}

/** The device's head as it came: the header policy has not seen it yet. */
export interface DeviceHead {
  readonly status: unknown
  /** Of dialect v1: whatever its JSON held. */
  readonly headers?: unknown
  /** In place of it where a frame carried them: name after value, the names in lower case. */
  readonly list?: HeaderList
}

/** What a device's head says under a name in lower case, unchecked. */
export function valuesIn({ headers, list }: DeviceHead, name: string): unknown[] {
  if (list !== undefined) {
    const values: string[] = []
    for (let at = 0; at + 1 < list.length; at += 2) if (list[at] === name) values.push(list[at + 1]!)
    return values
  }
  if (typeof headers !== 'object' || headers === null) return []
  return Object.entries(headers as Record<string, unknown>)
    .filter(([given]) => given.length === name.length && given.toLowerCase() === name)
    .flatMap(([, value]) => value)
}

/** The user's side of a stream. Called in order: head, then data or message …, then end, closed or fail once. */
export interface StreamSink {
  /** False: the head breaks the header policy; the stream ends as `bad_device_response` and `fail` is called. */
  head(head: DeviceHead, isLast: boolean): boolean
  data(bytes: Uint8Array): void
  /** `trailers` as they came, unchecked. */
  end(trailers?: HeaderBlock): void
  fail(failure: StreamFailure): void
  /** Bytes handed over that the user's connection has not taken yet. */
  bufferedBytes(): number
  /** The upstream takes more after `write` or `message` answered false. */
  writable(): void
  /** WebSockets only. */
  message(bytes: Uint8Array, isBinary: boolean): void
  closed(code: number, reason: string): void
}

/** A stream that was opened. Calls after its end do nothing. */
export interface UpstreamStream {
  /** False: the bytes are kept, but the caller should wait for `writable`. */
  write(bytes: Uint8Array): boolean
  end(trailers?: HeaderBlock): void
  message(bytes: Uint8Array, isBinary: boolean): boolean
  close(code: number, reason: string): void
  /** The user went away; nothing is called any more. */
  cancel(): void
  /** The user's connection took what was buffered. */
  drained(): void
}

export interface Upstream {
  readonly controllerId: string
  /** An answer counts only from the tunnel of this epoch. */
  readonly epoch: number
  readonly hop: 'local' | 'peer'
  /** Bytes of body that the device takes; Infinity for one that takes them as a stream with credits. */
  readonly maxRequestBody: number
  /** Takes a body piece by piece; false: it must be collected first and given whole. */
  readonly takesStreams: boolean
  readonly takesWebSockets: boolean
  /** Bytes of head that the device takes. */
  readonly maxRequestHeader: number
  /** Addresses that the device told of itself. */
  readonly ownHosts: readonly string[]
  /** Its other ports that pages may be served from, as it announced them. */
  readonly ports: readonly number[]
  /** A failure means that nothing was sent and the sink will not be called. */
  open(request: UpstreamRequest, sink: StreamSink): UpstreamStream | StreamFailure
}

/** Finds where a controller's requests go now. */
export interface Router {
  /**
   * At once when it is known; else a promise, which may wait up to 5 s for a device that is moving. Undefined: offline.
   * Rejects with `overloaded` when too many wait, and with `dependency_unavailable` when it can't be decided (503).
   * What it answers already deals with a tunnel that moved meanwhile: `open` is repeated once elsewhere as long as
   * nothing was sent to a device.
   */
  locate(controllerId: string): Upstream | undefined | Promise<Upstream | undefined>
}
