/** Ways in which a simulated controller misbehaves. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RequestHandler } from './exchange.ts'

export const FAULTS = ['slow', 'silent', 'wrong-frames'] as const
export type Fault = (typeof FAULTS)[number]

export type Faults = {
  /** slow: answers after 2–10 s; silent: never answers. */
  wrap(handler: RequestHandler): RequestHandler
  /** wrong-frames: now and then something that is no message, or an answer nobody asked for. */
  spoil(sendRaw: (text: string) => void): void
}

const WRONG_FRAMES = [
  '{"type":"http_response","id":"nobody-asked","status":200,"headers":{},"body":""}',
  '{"type":"http_response_chunk","id":"nobody-asked","body":"","more":false}',
  '{"type":"http_response","id":',
  '{"type":"firmware_of_the_future"}',
]

/** `random` in [0, 1) chooses delays and frames. */
export function createFaults(faults: readonly Fault[], random: () => number): Faults {
  return {
    wrap(handler) {
      if (faults.includes('silent')) return async ({ signal }) => void (await once(signal, 'abort'))
      if (!faults.includes('slow')) return handler
      return async (request, sink) => {
        await sleep(2_000 + random() * 8_000, undefined, { signal: request.signal })
        await handler(request, sink)
      }
    },
    spoil(sendRaw) {
      if (!faults.includes('wrong-frames') || random() > 0.25) return
      sendRaw(WRONG_FRAMES[Math.floor(random() * WRONG_FRAMES.length)] ?? '')
    },
  }
}
