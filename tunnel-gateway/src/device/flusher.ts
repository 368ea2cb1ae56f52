/** Sends what many tunnels have to say once a turn of the event loop: few messages instead of many, one timer for all. */

export interface Flushable {
  flush(): void
}

/** Calls `flush` of each once, after everything that this turn brings. */
export function createFlusher(): (target: Flushable) => void {
  let waiting: Flushable[] = []

  function flushAll(): void {
    const now = waiting
    waiting = []
    for (const target of now) target.flush()
  }

  return (target) => {
    if (waiting.length === 0) setImmediate(flushAll)
    waiting.push(target)
  }
}
