/**
 * Traces by OpenTelemetry, switched on by its standard variables. Where they are not set `openTracing` answers null and
 * loads nothing: whoever makes spans asks `tracing === null` first, which is all that it costs.
 */
import { z } from 'zod'
import { ConfigError, defineConfig, flag } from './config.ts'
import type { ConfigOf } from './config.ts'

export type SpanKind = 'server' | 'client' | 'consumer' | 'internal'
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** The header (W3C Trace Context) that makes the next process on the way a child of this span. */
  readonly traceparent: string
  rename(name: string): void
  set(attributes: SpanAttributes): void
  /** The first call counts. @param error Short stable code of what failed; none: it went well. */
  end(error?: string): void
}

export interface SpanOptions {
  readonly kind: SpanKind
  /** A `traceparent` header as it came; unsound ones count as none. Not given: the active span is the parent. */
  readonly parent?: string | undefined
  readonly attributes?: SpanAttributes
}

export interface Tracing {
  start(name: string, options: SpanOptions): Span
  /** Like `start`, where a span is active; null: none is, and nothing is begun. */
  startInside(name: string, options: SpanOptions): Span | null
  /** Runs `work` with the span active: for everything it calls, also later. */
  within<T>(span: Span, work: () => T): T
  active(): Span | null
  /** Sends what has not been sent; a collector that is away may be waited for: bound it. */
  stop(): Promise<void>
}

const optional = z.string().optional()
const endpoint = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional()
const count = (fallback: number) => z.coerce.number().int().min(1).default(fallback)

/** The variables of the OpenTelemetry specification that are understood. Others of the exporter's own are too. */
export const tracingConfig = defineConfig({
  name: 'traces',
  description: 'what OpenTelemetry’s variables mean to the API, the worker and the gateway',
  variables: {
    OTEL_EXPORTER_OTLP_ENDPOINT: {
      schema: endpoint,
      description: 'Where traces go, such as http://collector:4318; empty: there are none',
    },
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
      schema: endpoint,
      description: 'The same with the whole path, such as http://collector:4318/v1/traces',
    },
    OTEL_EXPORTER_OTLP_HEADERS: {
      schema: optional,
      description: 'Headers for the collector, name=value by comma',
      secret: true,
    },
    OTEL_EXPORTER_OTLP_PROTOCOL: {
      schema: z.literal('http/json', { error: 'only http/json is spoken' }).default('http/json'),
      description: 'How traces are sent',
    },
    OTEL_TRACES_EXPORTER: {
      schema: z.enum(['otlp', 'none']).default('otlp'),
      description: 'none: no traces, whatever else is set',
    },
    OTEL_SDK_DISABLED: { schema: flag(false), description: 'true: no traces, whatever else is set' },
    OTEL_SERVICE_NAME: {
      schema: optional,
      description: 'Name of the process in traces; default wmoc-<process>',
    },
    OTEL_RESOURCE_ATTRIBUTES: { schema: optional, description: 'Further attributes, name=value by comma' },
    OTEL_TRACES_SAMPLER: {
      schema: z
        .enum([
          'always_on',
          'always_off',
          'traceidratio',
          'parentbased_always_on',
          'parentbased_always_off',
          'parentbased_traceidratio',
        ])
        .default('parentbased_always_on'),
      description: 'Which requests are traced; parentbased_…: as the caller has decided, if there is one',
    },
    OTEL_TRACES_SAMPLER_ARG: {
      schema: z.coerce.number().min(0).max(1).default(1),
      description: 'Share of requests for …traceidratio, 0 to 1',
    },
    OTEL_BSP_SCHEDULE_DELAY: { schema: count(5_000), description: 'Milliseconds between two sendings' },
    OTEL_BSP_EXPORT_TIMEOUT: { schema: count(30_000), description: 'Milliseconds that one may take' },
    OTEL_BSP_MAX_QUEUE_SIZE: { schema: count(2_048), description: 'Spans kept until then; more are dropped' },
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: { schema: count(512), description: 'Spans in one sending' },
  },
})

export type TracingConfig = ConfigOf<typeof tracingConfig.variables>

/**
 * Opens traces for a process; null: nobody asked for them.
 * @param process_ Short name of the process, as in metrics and logs.
 * @throws ConfigError where a variable can't be understood.
 */
export async function openTracing(
  process_: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Tracing | null> {
  if (!env['OTEL_EXPORTER_OTLP_ENDPOINT'] && !env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) return null
  const config = tracingConfig.load(env)
  if (config.OTEL_SDK_DISABLED || config.OTEL_TRACES_EXPORTER === 'none') return null
  if (config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE > config.OTEL_BSP_MAX_QUEUE_SIZE)
    throw new ConfigError('OTEL_BSP_MAX_EXPORT_BATCH_SIZE must not exceed OTEL_BSP_MAX_QUEUE_SIZE')
  const { createTracing } = await import('./tracing-otel.ts')
  return createTracing(process_, config)
}
