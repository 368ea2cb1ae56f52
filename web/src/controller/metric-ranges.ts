/** How far a chart looks back, how fine it is, and what a live value adds to it. Pure. */
import type { METRIC_STEPS } from '@wmoc/api/contracts/telemetry'

export type Step = (typeof METRIC_STEPS)[number]
export const RANGES = ['15m', '1h', '6h', '24h', '7d', '30d'] as const
export type Range = (typeof RANGES)[number]

const MINUTE_MS = 60_000
const TABLE: Record<Range, { ms: number; step: Step }> = {
  '15m': { ms: 15 * MINUTE_MS, step: 'raw' },
  '1h': { ms: 60 * MINUTE_MS, step: '1m' },
  '6h': { ms: 360 * MINUTE_MS, step: '1m' },
  '24h': { ms: 1_440 * MINUTE_MS, step: '5m' },
  '7d': { ms: 7 * 1_440 * MINUTE_MS, step: '1h' },
  '30d': { ms: 30 * 1_440 * MINUTE_MS, step: '6h' },
}

const STEP_MS: Record<Step, number> = {
  raw: 0,
  '1m': MINUTE_MS,
  '5m': 5 * MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': 60 * MINUTE_MS,
  '6h': 360 * MINUTE_MS,
  '1d': 1_440 * MINUTE_MS,
}

export const rangeMs = (range: Range): number => TABLE[range].ms
export const defaultStep = (range: Range): Step => TABLE[range].step

/** Steps that give between 2 and 5,000 points in this range; `raw` only where it stays small. */
export function stepsFor(range: Range): Step[] {
  return (Object.keys(STEP_MS) as Step[]).filter((step) => {
    if (step === 'raw') return rangeMs(range) <= 60 * MINUTE_MS
    const points = rangeMs(range) / STEP_MS[step]
    return points >= 2 && points <= 5_000
  })
}

export interface Point {
  readonly t: number
  readonly v: number
}

/** Numbers only, in order of time. Booleans count as 0 and 1. */
export function numericPoints(points: readonly { t: number; v: unknown }[]): Point[] {
  return points.flatMap(({ t, v }) => {
    const number = typeof v === 'boolean' ? Number(v) : v
    return typeof number === 'number' && Number.isFinite(number) ? [{ t, v: number }] : []
  })
}

/** The series with live values put in their place; what has left the range goes. */
export function withLive(points: readonly Point[], live: readonly Point[], fromMs: number): Point[] {
  const lastMs = points.at(-1)?.t ?? 0
  return [...points, ...live.filter((point) => point.t > lastMs).toSorted((a, b) => a.t - b.t)].filter(
    (point) => point.t >= fromMs,
  )
}

export interface Digest {
  readonly last: number
  readonly min: number
  readonly max: number
  readonly mean: number
}

/** What a chart says in words; null for an empty one. */
export function digest(points: readonly Point[]): Digest | null {
  const last = points.at(-1)
  if (!last) return null
  let min = Infinity
  let max = -Infinity
  let sum = 0
  for (const { v } of points) {
    min = Math.min(min, v)
    max = Math.max(max, v)
    sum += v
  }
  return { last: last.v, min, max, mean: sum / points.length }
}
