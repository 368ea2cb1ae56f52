/** A device and the kit in one process, two stream machines and nothing between them. */
import { createMux } from '@wmoc/protocol/v2/create-mux'
import type { Mux, MuxOptions } from '@wmoc/protocol/v2/mux'
import { acceptRequest } from '@wmoc/device-sim/device/v2/http-exchange'
import { acceptSocket } from '@wmoc/device-sim/device/v2/socket-exchange'
import { createForward } from '@wmoc/device-sim/upstream/forward'
import { muxTransport } from '#src/transports/mux-transport.ts'
import type { Transport } from '#src/transports/transport.ts'

const MAX_STREAMS = 8
const MAX_MESSAGE = 16_384

/** @param origin Where the device's page is served. */
export function memoryPair(origin: string): Transport & { stop(): void } {
  const forward = createForward(origin)
  const faults = { onDone() {}, onError() {} }
  const shared: Omit<MuxOptions, 'role' | 'wake'> = {
    maxStreams: MAX_STREAMS,
    maxChunk: 4_096,
    sendWindow: { stream: 32_768, connection: 131_072 },
    receiveWindow: { stream: 32_768, connection: 131_072 },
    isResumable: false,
    control() {},
  }
  const carrier = (from: () => Mux, to: () => Mux) => () =>
    void setImmediate(() => {
      for (let message = from().pull(MAX_MESSAGE); message; message = from().pull(MAX_MESSAGE)) {
        const fault = to().receive(message)
        if (fault) throw new Error(fault.reason)
      }
    })
  const kit: Mux = createMux({
    ...shared,
    role: 'opener',
    wake: carrier(
      () => kit,
      () => device,
    ),
  })
  const device: Mux = createMux({
    ...shared,
    role: 'acceptor',
    wake: carrier(
      () => device,
      () => kit,
    ),
    accept: (head, stream, kind, isLast) =>
      kind === 'websocket'
        ? acceptSocket(forward.socketHandler, head, stream, faults)
        : acceptRequest(forward.handler, head, stream, isLast, faults),
  })
  const can = ['page', 'stream', 'websocket', 'trailers', 'backpressure', 'v2'] as const
  return { ...muxTransport('two machines in memory', kit, MAX_STREAMS, can), stop: () => forward.close() }
}
