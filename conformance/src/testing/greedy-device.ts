/** A device that sends whether or not it has credit. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { acceptRequest } from '@wmoc/device-sim/device/v2/http-exchange'
import { createForward } from '@wmoc/device-sim/upstream/forward'
import { controlMessage } from '@wmoc/protocol/v2/control-codec'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import { FRAME, RESET } from '@wmoc/protocol/v2/frames'

/** Connects again whenever it is cut. */
export function greedyDevice(origin: string, url: string): { stop(): void } {
  const forward = createForward(origin)
  let socket: WebSocket | null = null
  let isStopped = false

  function connect(): void {
    const own = new WebSocket(url, 'wmoc.v2')
    socket = own
    const flush = () => {
      for (let message = mux.pull(65_536); message; message = mux.pull(65_536)) own.send(message)
    }
    const mux = createMux({
      role: 'acceptor',
      maxStreams: 4,
      maxChunk: 4_096,
      sendWindow: { stream: 10_000_000, connection: 10_000_000 },
      receiveWindow: { stream: 4_096, connection: 4_096 },
      isResumable: false,
      wake: () => void setImmediate(flush),
      control() {},
      accept: (head, stream, _kind, isLast) =>
        acceptRequest(forward.handler, head, stream, isLast, { onDone() {}, onError() {} }),
    })
    own.on('message', (data: Buffer) => {
      const frames = decodeFrames(data)
      const isGreeting = Array.isArray(frames) && frames[0]?.type === FRAME.welcome
      if (!isGreeting && mux.receive(data)) own.terminate()
    })
    own.on('error', () => undefined)
    own.on('close', () => {
      mux.closeAll(RESET.disconnected)
      if (!isStopped) connect()
    })
    void once(own, 'open').then(
      () => own.send(controlMessage({ type: 'hello', token: 'greedy' })),
      () => undefined,
    )
  }

  connect()
  return {
    stop() {
      isStopped = true
      socket?.terminate()
      forward.close()
    },
  }
}
