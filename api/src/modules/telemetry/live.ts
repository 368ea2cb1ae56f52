import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import type { z } from 'zod'
import type { StreamEvent } from '../events/contract.ts'
import type { LogRow, MetricRow } from './core/normalize.ts'

/** What is told to those who watch a controller: the event of the stream, ready to be sent. */
export type LiveEvent = Extract<z.input<typeof StreamEvent>, { type: 'metrics.received' | 'logs.received' }>

/** Items in one message: a batch of 500 long lines would stand in the way of everything behind it. */
const ITEMS_PER_MESSAGE = 100

export interface Live {
  /** Tells watchers what was stored; after commit, and lost when the store is away: a watcher reads the gap again. */
  publish(metrics: readonly MetricRow[], logs: readonly LogRow[]): void
  /** Raw messages of one controller; parse them by `StreamEvent`. The answer ends the subscription. */
  subscribe(controllerId: string, listener: (message: string) => void): Promise<() => Promise<void>>
}

/** The road from ingest to those who look at a controller right now. */
export function createLive({ store, log }: { store: Store; log: Logger }): Live {
  const channel = (controllerId: string): string => `wmoc:live:${controllerId}`
  return {
    publish: (metrics, logs) => {
      for (const event of [...metricEvents(metrics), ...logEvents(logs)]) {
        store.publish(channel(event.controllerId), JSON.stringify(event)).catch((error: unknown) => {
          log.debug('store', 'live values were not told', { error })
        })
      }
    },
    subscribe: (controllerId, listener) => store.subscribe(channel(controllerId), listener),
  }
}

function metricEvents(rows: readonly MetricRow[]): LiveEvent[] {
  return inMessages(rows).map((part) => ({
    type: 'metrics.received',
    controllerId: part.controllerId,
    items: part.rows.map((row) => ({ type: row.type, value: row.value, t: row.at })),
  }))
}

function logEvents(rows: readonly LogRow[]): LiveEvent[] {
  return inMessages(rows).map((part) => ({
    type: 'logs.received',
    controllerId: part.controllerId,
    items: part.rows.map((row) => ({
      id: row.id,
      timestamp: new Date(row.at).toISOString(),
      level: row.level,
      message: row.message,
    })),
  }))
}

function inMessages<R extends { controllerId: string }>(
  rows: readonly R[],
): { controllerId: string; rows: R[] }[] {
  return [...Map.groupBy(rows, (row) => row.controllerId)].flatMap(([controllerId, own]) =>
    Array.from({ length: Math.ceil(own.length / ITEMS_PER_MESSAGE) }, (_, index) => ({
      controllerId,
      rows: own.slice(index * ITEMS_PER_MESSAGE, (index + 1) * ITEMS_PER_MESSAGE),
    })),
  )
}
