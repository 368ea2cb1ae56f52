/** Ways in which a simulated controller misbehaves, for whoever wants to see that nobody else suffers. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Handlers, RequestHandler, ResponseSink } from './handler.ts'
import type { Line } from './line.ts'

export const FAULTS = [
  'slow',
  'silent',
  'frozen',
  'lying-lengths',
  'wrong-frames',
  'half-open',
  'slow-line',
  'duplicate',
] as const
export type Fault = (typeof FAULTS)[number]

/** What each does, for the help. `duplicate` is the fleet's: it starts each controller twice. */
export const FAULT_MEANINGS: Readonly<Record<Fault, string>> = {
  slow: 'answers after 2–10 s',
  silent: 'never answers',
  frozen: 'begins its answers and never goes on, takes no body',
  'lying-lengths': 'announces another Content-Length than it sends',
  'wrong-frames': 'sends now and then what is no message, or an answer nobody asked for',
  'half-open': '10–40 s after each registration it neither reads nor writes, for up to 80 s',
  'slow-line': 'carries 2,000 bytes per second',
  duplicate: 'two controllers with one credential (with --fleet)',
}

export interface Faults {
  wrap(handlers: Handlers): Handlers
  /** Something wrong to send, by chance; null: nothing now. */
  spoil(dialect: 'v1' | 'v2'): string | Uint8Array | null
  /** The tunnel over this line was registered. */
  online(line: Line): void
}

export const SLOW_LINE_BYTES_PER_SEC = 2_000

/** `random` in [0, 1) chooses delays and frames. */
export function createFaults(faults: readonly Fault[], random: () => number): Faults {
  return {
    wrap(handlers) {
      if (faults.includes('silent')) return { ...handlers, request: untilAborted }
      if (faults.includes('frozen')) return { ...handlers, request: freeze }
      let { request } = handlers
      if (faults.includes('lying-lengths')) request = lie(request, random)
      if (faults.includes('slow')) request = delay(request, random)
      return request === handlers.request ? handlers : { ...handlers, request }
    },
    spoil(dialect) {
      if (!faults.includes('wrong-frames') || random() > 0.25) return null
      const choices = POISON[dialect]
      return choices[Math.floor(random() * choices.length)] ?? null
    },
    online(line) {
      if (faults.includes('slow-line')) line.slowDown(SLOW_LINE_BYTES_PER_SEC)
      if (!faults.includes('half-open')) return
      const timer = setTimeout(() => line.freeze(), 10_000 + random() * 30_000)
      void line.closed.then(() => clearTimeout(timer))
    },
  }
}

/** What a gateway must survive, by dialect. Most of it ends the tunnel; none of it may end anything else. */
export const POISON: Readonly<Record<'v1' | 'v2', readonly (string | Uint8Array)[]>> = {
  v1: [
    '{"type":"http_response","id":"nobody-asked","status":200,"headers":{},"body":""}',
    '{"type":"http_response_chunk","id":"nobody-asked","body":"","more":false}',
    '{"type":"http_response","id":',
    '{"type":"firmware_of_the_future"}',
    `{"type":"metrics","items":${'['.repeat(200)}`,
    '{"type":"log","items":[{"level":"info","message":"x"}],"__proto__":{"seq":1}}',
  ],
  v2: [
    // RESP of a stream that nobody opened; DATA of it; a frame type of the future.
    Buffer.from('0400ffff0001000200c8', 'hex'),
    Buffer.from('0501ffff00010000', 'hex'),
    Buffer.from('ff00000000000000', 'hex'),
    // A length beyond the message; a header that ends early.
    Buffer.from('050000010001ffff00', 'hex'),
    Buffer.from('0500', 'hex'),
    // More credit than a sender can hold; a second HELLO; a gateway's own frame.
    Buffer.from('0800000000000006ffffffff0000', 'hex'),
    Buffer.from('01000000000000027b7d', 'hex'),
    Buffer.from('02000000000000027b7d', 'hex'),
  ],
}

const untilAborted: RequestHandler = async ({ signal }) => {
  if (!signal.aborted) await once(signal, 'abort')
}

const freeze: RequestHandler = async (request, sink) => {
  await sink.begin(200, { 'Content-Type': 'text/plain' })
  await sink.write(Buffer.from('fro'))
  await untilAborted(request, sink)
}

function delay(handler: RequestHandler, random: () => number): RequestHandler {
  return async (request, sink) => {
    await sleep(2_000 + random() * 8_000, undefined, { signal: request.signal })
    await handler(request, sink)
  }
}

function lie(handler: RequestHandler, random: () => number): RequestHandler {
  return (request, sink) => {
    const length = String(Math.floor(random() * 1_000_000))
    const liar: ResponseSink = {
      whole: (status, headers, body) => sink.whole(status, { ...headers, 'Content-Length': length }, body),
      begin: (status, headers) => sink.begin(status, { ...headers, 'Content-Length': length }),
      write: (bytes) => sink.write(bytes),
      end: (trailers) => sink.end(trailers),
      fail: (reason) => sink.fail(reason),
    }
    return handler(request, liar)
  }
}
