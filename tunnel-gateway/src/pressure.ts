/** Whether the process is near the end of its memory: then it takes no more, before the system takes it. */
import { getHeapStatistics } from 'node:v8'

export interface Pressure {
  /** To be called about every second. */
  sample(): void
  readonly isHigh: () => boolean
}

/** High above `shedAt` of the heap's limit, and again fine a tenth below. @param read Heap in use and its limit, in bytes. */
export function createPressure(
  shedAt: number,
  read: () => { used: number; limit: number } = () => {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
    return { used, limit }
  },
): Pressure {
  let isHigh = false
  return {
    sample() {
      const { used, limit } = read()
      isHigh = used / limit > (isHigh ? shedAt - 0.1 : shedAt)
    },
    isHigh: () => isHigh,
  }
}
