/**
 * Notices that this process stood still (stopped, swapped out, a machine that slept). Meanwhile its controllers may have
 * gone elsewhere, and what its sockets hold is from the past: nothing may be served before the store has confirmed it.
 */
export interface PauseGuard {
  start(): void
  stop(): void
  /** Null: nothing is known against serving. Else a promise that resolves when it may be tried again. */
  whenSound(): Promise<void> | null
}

const BEAT_MS = 250

/**
 * @param options.limitMs A longer standstill is doubtful. Must be shorter than the time that another shard waits for this one to
 *   let go of a controller.
 * @param options.confirm Asks the store what still belongs here; what it answers is waited for, for `confirmWithinMs` at most.
 */
export function createPauseGuard(options: {
  limitMs: number
  confirmWithinMs: number
  confirm(): Promise<void>
  paused(ms: number): void
}): PauseGuard {
  let timer: NodeJS.Timeout | null = null
  let beatAt = performance.now()
  let confirming: Promise<void> | null = null

  function check(): void {
    const now = performance.now()
    const gap = now - beatAt
    if (gap <= options.limitMs) return
    beatAt = now
    options.paused(gap)
    const limit = new Promise<void>((resolve) => setTimeout(resolve, options.confirmWithinMs).unref())
    const current = Promise.race([options.confirm().catch(() => undefined), limit]).then(() => {
      if (confirming === current) confirming = null
    })
    confirming = current
  }

  return {
    start() {
      beatAt = performance.now()
      timer = setInterval(() => {
        check()
        beatAt = performance.now()
      }, BEAT_MS)
      timer.unref()
    },
    stop() {
      if (timer !== null) clearInterval(timer)
      timer = null
    },
    whenSound() {
      if (timer !== null) check()
      return confirming
    },
  }
}
