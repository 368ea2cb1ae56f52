import type { IngestBatch } from '@wmoc/protocol/control-plane'
import { V1_LIMITS } from '@wmoc/protocol/messages'

/** How far a device's clock may be from ours before we take the time of receipt instead. */
export const MAX_PAST_MS = 7 * 86_400_000
export const MAX_FUTURE_MS = 5 * 60_000

type Json = IngestBatch['items'][number] extends infer I ? (I extends { value: infer V } ? V : never) : never

/**
 * Text that Postgres takes: U+0000 (which neither text nor jsonb can hold) and surrogates without their half become
 * U+FFFD. Nothing else changes.
 */
export function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD')
}

/**
 * JSON that Postgres takes: strings and keys as in `cleanText`, numbers that JSON can't say become null, what lies
 * deeper than the protocol allows becomes null. A key `__proto__` stays an ordinary key.
 */
export function cleanJson(value: Json, depth = 0): Json {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (value === null || typeof value !== 'object') return value
  if (depth >= V1_LIMITS.maxJsonDepth) return null
  if (Array.isArray(value)) return value.map((item) => cleanJson(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [cleanText(key), cleanJson(item, depth + 1)]),
  )
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

/** One row of `metrics`. `number` is what goes into rollups: null for what can't be added up. */
export interface MetricRow {
  readonly id: string
  readonly controllerId: string
  readonly type: string
  readonly value: Json
  readonly number: number | null
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

/** Sums of larger values would leave the range of a double. */
const MAX_SUMMABLE = 1e300

/** Rows of a metrics batch, in its order. `nextId` gives one id per row. */
export function metricRows(
  batch: Extract<IngestBatch, { kind: 'metrics' }>,
  nextId: () => string,
): MetricRow[] {
  return batch.items.map((item) => {
    const value = cleanJson(item.value)
    return {
      id: nextId(),
      controllerId: batch.controllerId,
      type: cleanText(item.type),
      value,
      number: typeof value === 'number' && Math.abs(value) <= MAX_SUMMABLE ? value : null,
      at: eventTime(item.timestamp, batch.receivedAt),
    }
  })
}

/** Rows of a log batch, in its order. `nextId` gives one id per row. */
export function logRows(batch: Extract<IngestBatch, { kind: 'log' }>, nextId: () => string): LogRow[] {
  return batch.items.map((item) => ({
    id: nextId(),
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
