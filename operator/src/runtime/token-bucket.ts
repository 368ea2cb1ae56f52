/** Paces requests: so many a second on average, a burst of some more; who comes too early waits in line. */
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'

export interface TokenBucket {
  /** Resolves when it is the caller's turn; rejects with the signal's reason when it is aborted first. */
  take(signal?: AbortSignal): Promise<void>
}

/** @param perSecond Average rate. @param burst How many may go at once after a quiet time. */
export function createTokenBucket(perSecond: number, burst: number, clock: Clock = systemClock): TokenBucket {
  const stepMs = 1_000 / perSecond
  /** When the bucket will be full again if nobody comes. */
  let fullAt = clock.now()

  return {
    take(signal) {
      if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
      const now = clock.now()
      fullAt = Math.max(fullAt, now) + stepMs
      const waitMs = fullAt - now - burst * stepMs
      if (waitMs <= 0) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          cancel()
          reject(signal!.reason as Error)
        }
        const cancel = clock.after(waitMs, () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        })
        signal?.addEventListener('abort', onAbort, { once: true })
      })
    },
  }
}
