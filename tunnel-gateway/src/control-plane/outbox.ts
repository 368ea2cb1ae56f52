/**
 * What must reach the API and may have to wait: a bounded queue, sent in order and in batches, one call at a time,
 * repeated while the API is away.
 */
import { AppError } from '@wmoc/platform/errors'
import type { LogCategory, Logger } from '@wmoc/platform/log'

export interface OutboxOptions<Item> {
  readonly category: LogCategory
  readonly maxItems: number
  readonly maxBytes: number
  readonly maxBatch: number
  readonly maxBatchBytes: number
  /** Waits so long for more before it sends. */
  readonly lingerMs: number
  readonly log: Logger
  /** Rejects with `malformed` where repeating is useless. */
  send(items: Item[]): Promise<void>
  /** The API will never take it. */
  dropped?(item: Item): void
}

export interface Outbox<Item> {
  /** False: full, not kept. */
  add(item: Item, bytes?: number): boolean
  readonly size: number
  /** Sends what is there, for at most `deadlineMs`; afterwards nothing is sent. */
  stop(deadlineMs: number): Promise<void>
}

export function createOutbox<Item>(options: OutboxOptions<Item>): Outbox<Item> {
  const queue: { item: Item; bytes: number }[] = []
  let bytes = 0
  const state: { running: Promise<void> | null; isStopped: boolean } = { running: null, isStopped: false }
  let isHurried = false
  let wake: (() => void) | null = null

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  function nextBatch(): Item[] {
    let size = 0
    let total = 0
    while (size < queue.length && size < options.maxBatch && total < options.maxBatchBytes)
      total += queue[size++]!.bytes
    return queue.slice(0, size).map((entry) => entry.item)
  }

  function done(count: number): void {
    for (const entry of queue.splice(0, count)) bytes -= entry.bytes
  }

  /** Sends a batch; halves it where the API refuses it, to find the item that it does not take. */
  async function deliver(items: Item[]): Promise<void> {
    try {
      await options.send(items)
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'malformed')) throw error
      if (items.length === 1) {
        options.log.warn(options.category, 'the API refused an item for good', { error })
        options.dropped?.(items[0]!)
        return
      }
      const middle = items.length >> 1
      await deliver(items.slice(0, middle))
      await deliver(items.slice(middle))
    }
  }

  async function run(): Promise<void> {
    let failures = 0
    if (!isHurried) await pause(options.lingerMs)
    while (queue.length > 0 && !state.isStopped) {
      const batch = nextBatch()
      try {
        await deliver(batch)
        done(batch.length)
        failures = 0
      } catch (error) {
        if (failures === 0)
          options.log.warn(options.category, 'cannot deliver to the API, will repeat', { error })
        failures += 1
        await pause(Math.min(5_000, 100 * 2 ** failures) * (0.5 + Math.random() / 2))
      }
    }
  }

  function kick(): void {
    state.running ??= run().finally(() => {
      state.running = null
      if (queue.length > 0 && !state.isStopped) kick()
    })
  }

  return {
    add(item, size = 0) {
      if (state.isStopped || queue.length >= options.maxItems || bytes + size > options.maxBytes) return false
      queue.push({ item, bytes: size })
      bytes += size
      kick()
      return true
    },
    get size() {
      return queue.length
    },
    async stop(deadlineMs) {
      isHurried = true
      wake?.()
      const deadline = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref())
      while (state.running !== null && queue.length > 0) {
        const isOver = await Promise.race([state.running.then(() => false), deadline.then(() => true)])
        if (isOver) break
      }
      state.isStopped = true
      wake?.()
    },
  }
}
