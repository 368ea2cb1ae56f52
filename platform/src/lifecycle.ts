/** Ordered start and stop of the parts of a process: started in the order they were added, stopped in reverse. */
import type { Logger } from './log.ts'

export interface Part {
  readonly start?: () => Promise<void> | void
  readonly stop?: () => Promise<void> | void
  /** How long `stop` may take before the next part is stopped anyway. */
  readonly stopTimeoutMs?: number
}

export interface Lifecycle {
  add(name: string, part: Part): void
  /** Starts all; when one fails, those already started are stopped and the error is thrown. Throws where it is stopped first. */
  start(): Promise<void>
  /** Stops all; runs once however often it is called. A part that is just starting is waited for, no other is started. */
  stop(): Promise<void>
  /** Starts, waits for SIGTERM or SIGINT, stops, and ends the process. A second signal ends it at once. */
  runUntilSignal(): Promise<never>
}

const DEFAULT_STOP_TIMEOUT_MS = 10_000

/** An empty lifecycle. */
export function createLifecycle(log: Logger): Lifecycle {
  const parts: { name: string; part: Part }[] = []
  const started: { name: string; part: Part }[] = []
  let stopping: Promise<void> | null = null
  let underWay: Promise<unknown> = Promise.resolve()

  async function startPart(entry: (typeof parts)[number]): Promise<void> {
    await entry.part.start?.()
    started.push(entry)
    log.debug('lifecycle', `started ${entry.name}`)
  }

  async function stopAll(): Promise<void> {
    await underWay
    for (const { name, part } of started.toReversed()) {
      if (part.stop === undefined) continue
      try {
        await bounded(Promise.resolve(part.stop()), part.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS)
        log.debug('lifecycle', `stopped ${name}`)
      } catch (error) {
        log.error('lifecycle', `could not stop ${name} cleanly`, { error })
      }
    }
  }

  const lifecycle: Lifecycle = {
    add(name, part) {
      parts.push({ name, part })
    },
    async start() {
      for (const entry of parts) {
        if (stopping !== null) throw new Error(`stopped before ${entry.name} was started`)
        const attempt = startPart(entry)
        underWay = attempt.catch(() => undefined)
        try {
          await attempt
        } catch (error) {
          log.error('lifecycle', `could not start ${entry.name}`, { error })
          await lifecycle.stop()
          throw error
        }
      }
    },
    stop() {
      stopping ??= stopAll()
      return stopping
    },
    async runUntilSignal() {
      const signal = new Promise<NodeJS.Signals>((resolve) => {
        let seen = false
        const onSignal = (name: NodeJS.Signals) => {
          if (seen) process.exit(130)
          seen = true
          resolve(name)
        }
        process.on('SIGTERM', onSignal)
        process.on('SIGINT', onSignal)
      })
      try {
        await lifecycle.start()
      } catch {
        process.exit(1)
      }
      log.info('lifecycle', `stopping on ${await signal}`)
      await lifecycle.stop()
      process.exit(0)
    },
  }
  return lifecycle
}

async function bounded(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not stopped after ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
