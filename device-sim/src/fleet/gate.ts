/** Lets so many pass per second, in the order they came. */

export type Gate = {
  pass(then: () => void): void
  /** Whoever waits never passes. */
  stop(): void
}

const TICK_MS = 20

/** `perSec` 0: everybody passes at once. The allowance of half a second can be saved up. */
export function createGate(perSec: number, nowMs: () => number = Date.now): Gate {
  if (perSec <= 0) return { pass: (then) => then(), stop: () => undefined }
  const most = Math.max(1, perSec / 2)
  let waiting: (() => void)[] = []
  let allowance = most
  let countedAtMs = nowMs()
  let timer: NodeJS.Timeout | undefined

  function open(): void {
    timer = undefined
    const now = nowMs()
    allowance = Math.min(most, allowance + ((now - countedAtMs) * perSec) / 1_000)
    countedAtMs = now
    const count = Math.min(waiting.length, Math.floor(allowance))
    allowance -= count
    const passing = waiting.slice(0, count)
    waiting = waiting.slice(count)
    for (const then of passing) then()
    if (waiting.length > 0) timer ??= setTimeout(open, TICK_MS)
  }

  return {
    pass(then) {
      waiting.push(then)
      timer ??= setTimeout(open, 0)
    },
    stop() {
      clearTimeout(timer)
      waiting = []
    },
  }
}
