import type { IngestBatch } from '@wmoc/protocol/control-plane'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { cleanJson, cleanText, jsonDepth, type Json } from '#src/kernel/clean-text.ts'

/** How far a device's clock may be from ours before we take the time of receipt instead. */
export const MAX_PAST_MS = 7 * 86_400_000
export const MAX_FUTURE_MS = 5 * 60_000

/** JSON that Postgres takes; what is nested deeper than the protocol allows becomes null. */
function storable(value: Json): Json {
  return jsonDepth(value, V1_LIMITS.maxJsonDepth) > V1_LIMITS.maxJsonDepth ? null : cleanJson(value)
}

/**
 * When a measurement was taken, ms since 1970: the device's word where it is believable, else the time of receipt.
 * `timestamp` is ms or RFC 3339.
 */
export function eventTime(timestamp: number | string | undefined, receivedAt: number): number {
  const claimed = typeof timestamp === 'string' ? Date.parse(timestamp) : (timestamp ?? Number.NaN)
  if (!(claimed >= receivedAt - MAX_PAST_MS && claimed <= receivedAt + MAX_FUTURE_MS)) return receivedAt
  return Math.trunc(claimed)
}

/** One row of `metrics`. */
export interface MetricRow {
  readonly id: string
  readonly controllerId: string
  readonly type: string
  readonly value: Json
  readonly at: number
}

/** One row of `logs`. */
export interface LogRow {
  readonly id: string
  readonly controllerId: string
  readonly level: Extract<IngestBatch, { kind: 'log' }>['items'][number]['level']
  readonly message: string
  readonly at: number
}

/** Rows of a metrics batch, in its order. `ids`: one per item, ascending, so that the order of the batch stays. */
export function metricRows(
  batch: Extract<IngestBatch, { kind: 'metrics' }>,
  ids: readonly string[],
): MetricRow[] {
  return batch.items.map((item, index) => ({
    id: ids[index]!,
    controllerId: batch.controllerId,
    type: cleanText(item.type),
    value: storable(item.value),
    at: eventTime(item.timestamp, batch.receivedAt),
  }))
}

/** Rows of a log batch, in its order. `ids` as in `metricRows`. */
export function logRows(batch: Extract<IngestBatch, { kind: 'log' }>, ids: readonly string[]): LogRow[] {
  return batch.items.map((item, index) => ({
    id: ids[index]!,
    controllerId: batch.controllerId,
    level: item.level,
    message: cleanText(item.message),
    at: eventTime(item.timestamp, batch.receivedAt),
  }))
}

/** UTC days (`YYYY-MM-DD`) that rows fall on, each once. */
export function daysOf(rows: readonly { readonly at: number }[]): string[] {
  const days = new Set(rows.map((row) => Math.floor(row.at / 86_400_000)))
  return [...days]
    .toSorted((a, b) => a - b)
    .map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10))
}

/** The minutes of each controller that rows fall into, each once; `at` is the beginning in ms. */
export function minutesOf(rows: readonly MetricRow[]): { controllerId: string; at: number }[] {
  const minutes = new Map<string, { controllerId: string; at: number }>()
  for (const { controllerId, at } of rows) {
    const minute = Math.floor(at / 60_000) * 60_000
    minutes.set(`${controllerId} ${minute}`, { controllerId, at: minute })
  }
  return [...minutes.values()]
}
