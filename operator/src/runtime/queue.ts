/** The work queue: `queue-core.ts` with a clock and with workers that wait. */
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { createQueueCore } from './queue-core.ts'
import type { QueueTiming } from './queue-core.ts'

export interface WorkQueue {
  add(key: string): void
  /** At once, whatever failed before. */
  hurry(key: string): void
  addAfter(key: string, ms: number): void
  /** The next key when its time has come; null once the queue is shut. Each key that it gives must be `done`. */
  take(): Promise<string | null>
  done(key: string, hasFailed: boolean): void
  failures(key: string): number
  /** Keys that could be worked on now if somebody took them. */
  depth(): number
  /** Gives nothing out any more. Resolves when all that was given out is done. */
  shut(): Promise<void>
}

const TIMING: QueueTiming = { backOffMs: 500, maxBackOffMs: 120_000, quietMs: 200 }

/** An empty queue. Failures wait 0.25–0.5 s, then twice as long each time up to 1–2 min. */
export function createQueue(
  options: { readonly timing?: QueueTiming; readonly clock?: Clock; readonly random?: () => number } = {},
): WorkQueue {
  const { timing = TIMING, clock = systemClock, random = Math.random } = options
  const core = createQueueCore(timing, random)
  const takers: ((key: string | null) => void)[] = []
  const whenIdle: (() => void)[] = []
  let isShut = false
  let cancel = () => {}

  function serve(): void {
    cancel()
    while (takers.length > 0) {
      const key = core.poll(clock.now())
      if (key === null) break
      takers.shift()!(key)
    }
    const next = takers.length === 0 ? null : core.nextAt()
    cancel = next === null ? () => {} : clock.after(next - clock.now(), serve)
  }

  function changed(change: () => void): void {
    if (isShut) return
    change()
    serve()
  }

  return {
    add: (key) => changed(() => core.add(key, clock.now())),
    hurry: (key) => changed(() => core.hurry(key, clock.now())),
    addAfter: (key, ms) => changed(() => core.addAfter(key, ms, clock.now())),
    take() {
      if (isShut) return Promise.resolve(null)
      return new Promise((resolve) => {
        takers.push(resolve)
        serve()
      })
    },
    done(key, hasFailed) {
      core.done(key, clock.now(), hasFailed)
      if (!isShut) return serve()
      if (core.inFlight() === 0) for (const resolve of whenIdle.splice(0)) resolve()
    },
    failures: (key) => core.failures(key),
    depth: () => core.depth(clock.now()),
    shut() {
      isShut = true
      cancel()
      for (const taker of takers.splice(0)) taker(null)
      if (core.inFlight() === 0) return Promise.resolve()
      return new Promise((resolve) => void whenIdle.push(resolve))
    },
  }
}
