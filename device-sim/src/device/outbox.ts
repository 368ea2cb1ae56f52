/** Metrics and log batches on their way: numbered, kept until acknowledged, sent again after a reconnect. Pure. */
import type { Log, LogItem, MetricItem, Metrics } from '@wmoc/protocol/messages'

export type Batch = (Metrics | Log) & { seq: number }

export type Outbox = {
  /** Numbers the batch and keeps it; the oldest goes when `maxBatches` wait. */
  add(batch: { type: 'metrics'; items: MetricItem[] } | { type: 'log'; items: LogItem[] }): void
  acknowledge(seq: number): void
  /** Batches to send now: never sent in this connection, or silent for `resendAfterMs`. */
  due(nowMs: number): Batch[]
  /** A new connection: everything that is not acknowledged is due. */
  reconnected(): void
  readonly waiting: number
  readonly dropped: number
}

type Entry = { batch: Batch; sentAtMs: number | null }

/** `seq` starts at 1 and is scoped by the boot id, so a device makes a new outbox when it boots. */
export function createOutbox({ maxBatches = 120, resendAfterMs = 30_000 } = {}): Outbox {
  const entries = new Map<number, Entry>()
  let lastSeq = 0
  let dropped = 0
  return {
    add(batch) {
      lastSeq += 1
      if (entries.size >= maxBatches) {
        const [oldest] = entries.keys()
        if (oldest !== undefined) entries.delete(oldest)
        dropped += 1
      }
      entries.set(lastSeq, { batch: { ...batch, seq: lastSeq }, sentAtMs: null })
    },
    acknowledge: (seq) => void entries.delete(seq),
    due(nowMs) {
      const found = [...entries.values()].filter(
        ({ sentAtMs }) => sentAtMs === null || nowMs - sentAtMs >= resendAfterMs,
      )
      for (const entry of found) entry.sentAtMs = nowMs
      return found.map(({ batch }) => batch)
    },
    reconnected() {
      for (const entry of entries.values()) entry.sentAtMs = null
    },
    get waiting() {
      return entries.size
    },
    get dropped() {
      return dropped
    },
  }
}
