/** Whether the process is near the end of its memory: then it takes no more, before the system takes it. */
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'

export interface Pressure {
  /** To be called about every second. */
  sample(): void
  readonly isHigh: () => boolean
}

export interface MemoryUse {
  readonly used: number
  readonly limit: number
}

/**
 * High above `shedAt` of any limit, and again fine a tenth below all of them.
 * @param read What is in use and its limit, in bytes, of each kind of memory.
 */
export function createPressure(
  shedAt: number,
  read: () => readonly MemoryUse[] = () => [heap(), resident()],
): Pressure {
  let isHigh = false
  return {
    sample() {
      const threshold = isHigh ? shedAt - 0.1 : shedAt
      isHigh = read().some(({ used, limit }) => used / limit > threshold)
    },
    isHigh: () => isHigh,
  }
}

function heap(): MemoryUse {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
  return { used, limit }
}

/** Everything, the buffers outside the heap too, against what the container or else the machine has. */
function resident(): MemoryUse {
  const machine = totalmem()
  const container = process.constrainedMemory()
  return { used: process.memoryUsage.rss(), limit: container > 0 ? Math.min(container, machine) : machine }
}
