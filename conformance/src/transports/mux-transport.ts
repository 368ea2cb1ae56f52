/** Asks over a stream machine: the kit stands where the gateway stands (dialect v2). */
import { RESET } from '@wmoc/protocol/v2/frames'
import type { Mux, MuxStream, StreamHandler } from '@wmoc/protocol/v2/mux'
import type { Feature } from '#src/case.ts'
import { Incoming, Slots } from './incoming.ts'
import { Broken, type Ask, type Reply, type Transport, type UserSocket } from './transport.ts'

/** @param maxStreams What the device said it holds at a time. */
export function muxTransport(name: string, mux: Mux, maxStreams: number, can: readonly Feature[]): Transport {
  const slots = new Slots(maxStreams)

  async function ask({ method = 'GET', path, headers = [], body, trailers, signal }: Ask): Promise<Reply> {
    await slots.take()
    const replied = Promise.withResolvers<Reply>()
    const incoming = new Incoming((bytes) => stream.consumed(bytes))
    const isLast = body === undefined && trailers === undefined
    const all = body === undefined || trailers ? headers : [...headers, 'content-length', String(body.length)]
    const handler: StreamHandler = {
      head: ({ status, headers: list }) =>
        replied.resolve({ status, headers: list, body: incoming, trailers: () => incoming.trailers }),
      data: (bytes) => incoming.push(bytes),
      end: (list) => incoming.end(list),
      reset(code, words) {
        const error = new Broken(`RST ${code} ${words}`.trim())
        replied.reject(error)
        incoming.fail(error)
      },
      writable() {},
      over: () => slots.give(),
    }
    const stream: MuxStream = opened(mux.open({ method, path, headers: all }, 'request', isLast, handler))
    signal?.addEventListener('abort', () => {
      stream.reset(RESET.cancelled, 'the user left')
      const error = new Broken('left')
      replied.reject(error)
      incoming.fail(error)
    })
    if (body) stream.write(body)
    if (!isLast) stream.end(trailers)
    return replied.promise
  }

  async function socket(path: string, protocols: readonly string[] = []) {
    await slots.take()
    const answered = Promise.withResolvers<UserSocket | { refused: number }>()
    const { promise: closed, resolve: close } = Promise.withResolvers<{ code: number; reason: string }>()
    const messages = new MessageQueue()
    let pieces: Uint8Array[] = []
    const headers = protocols.length > 0 ? ['sec-websocket-protocol', protocols.join(', ')] : []
    const stream: MuxStream = opened(
      mux.open({ method: 'GET', path, headers }, 'websocket', false, {
        head({ status, headers: list }) {
          if (status !== 101) return answered.resolve({ refused: status })
          const protocol = list[list.indexOf('sec-websocket-protocol') + 1] ?? ''
          answered.resolve({
            protocol: list.includes('sec-websocket-protocol') ? protocol : '',
            send: (bytes, isBinary) => stream.message(bytes, isBinary),
            close: (code, reason) => stream.close(code, reason),
            next: () => messages.next(),
            closed,
          })
        },
        data: (bytes) => stream.consumed(bytes.length),
        end() {},
        writable() {},
        message(bytes, isBinary, isWhole) {
          pieces.push(bytes)
          stream.consumed(bytes.length)
          if (!isWhole) return
          messages.push({ bytes: Buffer.concat(pieces), isBinary })
          pieces = []
        },
        closed(code, reason) {
          close({ code, reason })
          messages.end()
          stream.close(code, '')
        },
        reset(code) {
          answered.reject(new Broken(`RST ${code}`))
          close({ code: 1006, reason: '' })
          messages.end()
        },
        over: () => slots.give(),
      }),
    )
    return answered.promise
  }

  return { name, can: new Set(can), maxRequestBody: Infinity, ask, socket }
}

/** Whole messages in order. */
export class MessageQueue {
  private readonly messages: { bytes: Buffer; isBinary: boolean }[] = []
  private readonly waiting: ((message: { bytes: Buffer; isBinary: boolean } | null) => void)[] = []
  private isOver = false

  push(message: { bytes: Buffer; isBinary: boolean }): void {
    const next = this.waiting.shift()
    if (next) next(message)
    else this.messages.push(message)
  }

  end(): void {
    this.isOver = true
    for (const next of this.waiting.splice(0)) next(null)
  }

  next(): Promise<{ bytes: Buffer; isBinary: boolean } | null> {
    const message = this.messages.shift()
    if (message || this.isOver) return Promise.resolve(message ?? null)
    return new Promise((resolve) => {
      this.waiting.push(resolve)
    })
  }
}

function opened(stream: MuxStream | null): MuxStream {
  if (!stream) throw new Broken('no free stream: the device holds a place for one that has ended')
  return stream
}
