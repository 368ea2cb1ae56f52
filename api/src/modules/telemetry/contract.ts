import { LOG_LEVELS } from '@wmoc/protocol/messages'
import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, page, pageQuery, Timestamp } from '../../kernel/schemas.ts'

export const METRIC_STEPS = ['raw', '1m', '5m', '15m', '1h', '6h', '1d'] as const
export const METRIC_AGGREGATIONS = ['avg', 'min', 'max', 'sum', 'count', 'last'] as const

export const LogEntry = z.object({
  id: Id,
  timestamp: Timestamp,
  level: z.enum(LOG_LEVELS),
  message: z.string(),
})
export type LogEntry = z.infer<typeof LogEntry>

export const telemetry = contract('telemetry', {
  metrics: route({
    method: 'GET',
    path: '/api/controllers/:id/metrics',
    summary: 'Series of one or more metrics',
    description:
      'At most 5,000 points a series: a step too fine for the range is 400 `range_too_wide` and names the step that fits. Without `type`: all types (at most 20).',
    access: 'controllers.read',
    params: z.object({ id: Id }),
    query: z.object({
      type: z.union([z.string().min(1).max(50), z.array(z.string().min(1).max(50)).max(20)]).optional(),
      from: Timestamp.optional(),
      to: Timestamp.optional(),
      step: z.enum(METRIC_STEPS).optional(),
      aggregation: z.enum(METRIC_AGGREGATIONS).default('avg'),
    }),
    status: 200,
    response: z.object({
      from: Timestamp,
      to: Timestamp,
      step: z.enum(METRIC_STEPS),
      aggregation: z.enum(METRIC_AGGREGATIONS),
      /** Numbers only in aggregated steps; any JSON in `raw`. Times in ms since 1970. */
      series: z.array(z.object({ type: z.string(), points: z.array(z.object({ t: z.int(), v: z.json() })) })),
    }),
    errors: ['range_too_wide'],
  }),
  metricTypes: route({
    method: 'GET',
    path: '/api/controllers/:id/metrics/types',
    summary: 'Which metrics the controller has sent, with the last value of each',
    access: 'controllers.read',
    params: z.object({ id: Id }),
    status: 200,
    response: z.object({
      items: z.array(
        z.object({ type: z.string(), lastValue: z.json(), lastAt: Timestamp, numeric: z.boolean() }),
      ),
    }),
  }),
  logs: route({
    method: 'GET',
    path: '/api/controllers/:id/logs',
    summary: 'Log lines, newest first; live ones come by `/api/events?logs=<id>`',
    access: 'controllers.read',
    params: z.object({ id: Id }),
    query: z.object({
      ...pageQuery,
      from: Timestamp.optional(),
      to: Timestamp.optional(),
      /** This level and above. */
      level: z.enum(LOG_LEVELS).optional(),
      /** Part of the message, any case. */
      text: z.string().max(200).optional(),
    }),
    status: 200,
    response: page(LogEntry),
  }),
  pageFigures: route({
    method: 'GET',
    path: '/api/controllers/:id/page-figures',
    summary: 'How much of its page the controller was spared, by day summed up',
    access: 'controllers.read',
    params: z.object({ id: Id }),
    status: 200,
    response: z.object({
      /** Begin of the first day that is counted, UTC; null when nothing was asked yet. */
      since: Timestamp.nullable(),
      requests: z.int(),
      /** Answered without the device, or with no more than a word of it that nothing changed. */
      fromCache: z.int(),
      /** Answered by what the device sent to somebody else at the same time. */
      coalesced: z.int(),
      bytesToUsers: z.int(),
      bytesFromDevice: z.int(),
    }),
  }),
})
