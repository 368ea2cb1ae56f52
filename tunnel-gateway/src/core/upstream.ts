/** Where a controller's requests go: a tunnel of this process. Another shard's takes the same form. */
import type { HeaderBlock } from './request-headers.ts'
import type { StreamFailure, StreamSink } from './streams.ts'

export interface UpstreamRequest {
  readonly method: string
  /** Raw path and query. */
  readonly path: string
  readonly headers: HeaderBlock
  readonly body: Uint8Array
}

export interface OpenRequest {
  /** The user went away. */
  cancel(): void
  /** The user's connection took what was buffered. */
  readonly drained: () => void
}

export interface Upstream {
  /** Bytes of body and of head that the device takes. */
  readonly maxRequestBody: number
  readonly maxRequestHeader: number
  /** Addresses that the device told of itself. */
  readonly ownHosts: readonly string[]
  /** Sends a request; a failure means that nothing was sent and the sink will not be called. */
  open(request: UpstreamRequest, sink: StreamSink): OpenRequest | StreamFailure
}
