import type { METRIC_STEPS } from '../contract.ts'

export type MetricStep = (typeof METRIC_STEPS)[number]

/** Points a series may have. */
export const MAX_POINTS = 5_000
/** What a chart is given when it names no step. */
const COMFORTABLE_POINTS = 400

const MINUTE = 60_000
const HOUR = 3_600_000

/** Aggregated steps from fine to coarse, width in ms. */
const WIDTHS = [
  ['1m', MINUTE],
  ['5m', 5 * MINUTE],
  ['15m', 15 * MINUTE],
  ['1h', HOUR],
  ['6h', 6 * HOUR],
  ['1d', 24 * HOUR],
] as const

type AggregatedStep = (typeof WIDTHS)[number][0]

/** Width of a step in ms. */
export function stepWidthMs(step: AggregatedStep): number {
  return new Map<string, number>(WIDTHS).get(step) ?? MINUTE
}

/** The table a step is read from: whole hours from the hourly rollup, finer ones from the minutes. */
export function rollupTable(step: AggregatedStep): 'metrics_1m' | 'metrics_1h' {
  return stepWidthMs(step) >= HOUR ? 'metrics_1h' : 'metrics_1m'
}

/** The finest aggregated step with at most `maxPoints` buckets in the range; null when even a day is too fine. */
export function finestStep(rangeMs: number, maxPoints = MAX_POINTS): AggregatedStep | null {
  return WIDTHS.find(([, width]) => bucketsIn(rangeMs, width) <= maxPoints)?.[0] ?? null
}

/** The step for a chart that asked for none. */
export function comfortableStep(rangeMs: number): AggregatedStep {
  return finestStep(rangeMs, COMFORTABLE_POINTS) ?? '1d'
}

/** Whether an aggregated step stays within MAX_POINTS for the range. */
export function stepFits(step: AggregatedStep, rangeMs: number): boolean {
  return bucketsIn(rangeMs, stepWidthMs(step)) <= MAX_POINTS
}

function bucketsIn(rangeMs: number, widthMs: number): number {
  return Math.ceil(rangeMs / widthMs) + 1
}
