/** What waits to be written to one client: bounded, so that a slow reader costs a bounded piece of memory. */
export interface FrameQueue<T> extends AsyncIterable<T> {
  readonly length: number
  /** False when the queue is full or has ended; then nothing was added. */
  push(item: T): boolean
  /** Whoever reads gets what waits already, then the end. */
  end(): void
}

/** A queue for one reader. */
export function createFrameQueue<T>(limit: number): FrameQueue<T> {
  const items: T[] = []
  let hasEnded = false
  let wake: (() => void) | null = null
  const signal = (): void => {
    wake?.()
    wake = null
  }
  return {
    get length() {
      return items.length
    },
    push(item) {
      if (hasEnded || items.length >= limit) return false
      items.push(item)
      signal()
      return true
    },
    end() {
      hasEnded = true
      signal()
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const item = items.shift()
        if (item !== undefined) yield item
        else if (hasEnded) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}
