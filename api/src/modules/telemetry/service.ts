import { appError } from '@wmoc/platform/errors'
import { z } from 'zod'
import type { RouteInput, RouteOutput } from '#src/kernel/contract.ts'
import { decodeCursor, encodeCursor, toPage } from '#src/kernel/cursor.ts'
import type { Kernel } from '#src/kernel/module.ts'
import type { telemetry } from './contract.ts'
import { comfortableStep, finestStep, stepFits } from './core/steps.ts'
import { findLogs } from './logs.ts'
import { sumPageFigures } from './page-figures.ts'
import { aggregatedSeries, latestValues, rawSeries } from './series.ts'

type Routes = typeof telemetry.routes

const DAY_MS = 86_400_000
/** Series in an answer to a question that names none. */
const MAX_SERIES = 20
/** Metrics that the list of types shows. */
const MAX_TYPES = 500

export interface TelemetryService {
  /** Series in one step; throws `range_too_wide` when they would have too many points. */
  metrics(id: string, query: RouteInput<Routes['metrics']>['query']): Promise<RouteOutput<Routes['metrics']>>
  metricTypes(id: string): Promise<RouteOutput<Routes['metricTypes']>>
  logs(id: string, query: RouteInput<Routes['logs']>['query']): Promise<RouteOutput<Routes['logs']>>
  pageFigures(id: string): Promise<RouteOutput<Routes['pageFigures']>>
}

/** What is read of metrics and logs. The binding has asked who may. */
export function createTelemetryService({ db, clock }: Pick<Kernel, 'db' | 'clock'>): TelemetryService {
  return {
    metrics: async (id, query) => {
      const to = query.to === undefined ? clock() : new Date(query.to)
      const from = query.from === undefined ? new Date(to.getTime() - DAY_MS) : new Date(query.from)
      const rangeMs = to.getTime() - from.getTime()
      if (rangeMs <= 0) throw invalid('from', 'must be before `to`')
      const step = query.step ?? comfortableStep(rangeMs)
      if (step !== 'raw' && !stepFits(step, rangeMs)) throw tooWide(rangeMs)
      const types = query.type === undefined ? await namesOfTypes(id) : [...new Set([query.type].flat())]
      const range = { controllerId: id, types, from, to }
      const series =
        step === 'raw'
          ? await rawSeries(db, range)
          : await aggregatedSeries(db, range, step, query.aggregation)
      if (series === null) throw tooWide(rangeMs)
      return {
        from: from.toISOString(),
        to: to.toISOString(),
        step,
        aggregation: query.aggregation,
        series,
      }
    },
    metricTypes: async (id) => ({ items: await latestValues(db, id, MAX_TYPES) }),
    logs: async (id, query) => {
      const before = decodeCursor(query.cursor, LOGS_SORT, LogsCursor)
      const found = await findLogs(db, {
        controllerId: id,
        from: query.from === undefined ? null : new Date(query.from),
        to: query.to === undefined ? null : new Date(query.to),
        level: query.level ?? null,
        text: query.text || null,
        before: before && { timestamp: before[0], id: before[1] },
        limit: query.limit + 1,
      })
      return toPage(
        found,
        query.limit,
        (entry) => entry,
        (last) => encodeCursor(LOGS_SORT, [last.timestamp, last.id]),
      )
    },
    pageFigures: (id) => sumPageFigures(db, id),
  }

  async function namesOfTypes(id: string): Promise<string[]> {
    return (await latestValues(db, id, MAX_SERIES)).map(({ type }) => type)
  }
}

const LOGS_SORT = 'logs.newest'
const LogsCursor = z.tuple([z.iso.datetime(), z.uuid()])

function tooWide(rangeMs: number): Error {
  const fits = finestStep(rangeMs)
  return appError('range_too_wide', {
    detail: fits ? `Ask with the step ${fits} or a shorter range.` : 'Ask for a shorter range.',
  })
}

function invalid(path: string, message: string): Error {
  return appError('validation_failed', { fields: [{ path, code: 'invalid', message }] })
}
