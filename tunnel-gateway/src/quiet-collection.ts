/**
 * Gives back what a burst left behind. A reconnect storm leaves more garbage of registrations than its tunnels take, and
 * V8 lets a heap double before it looks again, which with idle tunnels may be never. Making it look more often costs
 * every request (a third of the CPU, measured); looking once, when nobody waits, costs nothing.
 */
import { performance } from 'node:perf_hooks'
import { collect } from './collector.ts'

export interface QuietCollection {
  /** To be called about every second. */
  sample(): void
}

export interface QuietPorts {
  /** Share of the time since the last call that the event loop was busy, 0–1. */
  busy(): number
  /** Bytes of the heap in use. */
  heapBytes(): number
  collect(): void
}

const QUIET_BELOW = 0.25
const QUIET_SAMPLES = 4
const WORTH_BYTES = 8 * 1_048_576
/** Between two collections, in samples. */
const PAUSE_SAMPLES = 5

/** Looks through the heap after some quiet seconds: what the start left, then when it has grown by 8 MiB since the last time. */
export function createQuietCollection(ports: QuietPorts = ofProcess()): QuietCollection {
  let quiet = 0
  let pause = 0
  let collectedBytes = 0
  return {
    sample() {
      quiet = ports.busy() < QUIET_BELOW ? quiet + 1 : 0
      pause = Math.max(0, pause - 1)
      if (quiet < QUIET_SAMPLES || pause > 0 || ports.heapBytes() - collectedBytes < WORTH_BYTES) return
      ports.collect()
      collectedBytes = ports.heapBytes()
      pause = PAUSE_SAMPLES
    },
  }
}

function ofProcess(): QuietPorts {
  let last = performance.eventLoopUtilization()
  return {
    busy() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    },
    heapBytes: () => process.memoryUsage().heapUsed,
    collect: () => collect({ type: 'major', flavor: 'last-resort' }),
  }
}
