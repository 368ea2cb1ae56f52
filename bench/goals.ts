/** The goals of the data plane, and which figure answers each. */
import type { FigureName, Figures } from './plan.ts'

export interface Goal {
  readonly text: string
  readonly figure: FigureName
  readonly limit: number
  readonly isAtLeast?: boolean
  readonly unit: string
}

export const GOALS: readonly Goal[] = [
  { text: 'CPU of a small request, 64 connections, v2', figure: 'smallCpuUs', limit: 60, unit: 'µs' },
  { text: 'CPU of a small request, 64 connections, v1', figure: 'smallCpuUsV1', limit: 60, unit: 'µs' },
  { text: 'CPU of a hop, to that of a local request', figure: 'hopRatio', limit: 1.4, unit: '×' },
  { text: 'CPU of a download, v2', figure: 'downloadCpuSecPerGb', limit: 1.5, unit: 's/GB' },
  { text: 'CPU of an upload, v2', figure: 'uploadCpuSecPerGb', limit: 1.5, unit: 's/GB' },
  { text: 'memory that bulk transfers add', figure: 'bulkGrowthMb', limit: 64, unit: 'MB' },
  { text: 'memory of an idle tunnel at 10,000', figure: 'idleKb', limit: 10, unit: 'KB' },
  { text: 'memory of a slow reader', figure: 'slowReaderMb', limit: 1, unit: 'MB' },
  { text: 'p99 of others beside 12 slow readers', figure: 'slowReaderP99Ms', limit: 6, unit: 'ms' },
  {
    text: 'registrations in a storm',
    figure: 'registrationsPerSec',
    limit: 1_000,
    isAtLeast: true,
    unit: '/s',
  },
  { text: 'p99 until a controller is back after a storm', figure: 'backP99Sec', limit: 10, unit: 's' },
  { text: 'first byte of an event stream, median', figure: 'sseFirstByteMs', limit: 50, unit: 'ms' },
  { text: 'cancellation at the device, p99', figure: 'cancelMs', limit: 100, unit: 'ms' },
  { text: 'requests failed in a rolling restart', figure: 'restartFailed', limit: 0, unit: '' },
  { text: 'longest time without an answer meanwhile', figure: 'restartGapMs', limit: 250, unit: 'ms' },
]

export function isReached({ limit, isAtLeast }: Goal, value: number): boolean {
  return isAtLeast === true ? value >= limit : value <= limit
}

/** Rows of the page's first table; a goal that this run did not measure says so. */
export function goalRows(figures: Figures): (string | null)[][] {
  return GOALS.map((goal) => {
    const value = figures[goal.figure]
    const limit =
      `${goal.isAtLeast === true ? '≥' : '≤'} ${goal.limit.toLocaleString('en')} ${goal.unit}`.trim()
    if (value === undefined) return [goal.text, limit, null, 'not measured in this run']
    const digits = value >= 100 || goal.limit === 0 ? 0 : value >= 10 ? 1 : 2
    const verdict = isReached(goal, value) ? 'yes' : '**no**'
    return [goal.text, limit, `${value.toFixed(digits)} ${goal.unit}`.trim(), verdict]
  })
}
