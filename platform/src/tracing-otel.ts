/** Spans by the OpenTelemetry SDK. Loaded by `openTracing` only where traces are asked for. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { SpanKind as OtelKind, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Context, Span as OtelSpan } from '@opentelemetry/api'
import { parseTraceParent } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Sampler } from '@opentelemetry/sdk-trace'
import packageJson from '../package.json' with { type: 'json' }
import type { Span, SpanKind, SpanOptions, Tracing, TracingConfig } from './tracing.ts'

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  consumer: OtelKind.CONSUMER,
  internal: OtelKind.INTERNAL,
}

export function createTracing(process_: string, config: TracingConfig): Tracing {
  const detectors = [resourceAttributesEnvDetector, serviceNameEnvDetector]
  const own = { 'service.name': `wmoc-${process_}`, 'service.version': packageJson.version }
  const provider = new TracerProvider({
    resource: resourceFromAttributes(own).merge(detectResources({ detectors })),
    sampler: samplerOf(config),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter(),
        scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
        exportTimeoutMillis: config.OTEL_BSP_EXPORT_TIMEOUT,
        maxQueueSize: config.OTEL_BSP_MAX_QUEUE_SIZE,
        maxExportBatchSize: config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
      }),
    ],
  })
  const tracer = provider.getTracer('wmoc', packageJson.version)
  const active = new AsyncLocalStorage<Span>()

  function start(name: string, { kind, parent, attributes = {} }: SpanOptions): Span {
    const header = parent ?? active.getStore()?.traceparent
    return wrap(tracer.startSpan(name, { kind: KINDS[kind], attributes }, contextOf(header)))
  }

  return {
    start,
    startInside: (name, options) => (active.getStore() === undefined ? null : start(name, options)),
    within: (span, work) => active.run(span, work),
    active: () => active.getStore() ?? null,
    stop: () => provider.shutdown(),
  }
}

function contextOf(traceparent: string | undefined): Context {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent)
  return parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true })
}

function wrap(span: OtelSpan): Span {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return {
    traceId,
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    rename: (name) => void span.updateName(name),
    set: (attributes) => void span.setAttributes(attributes),
    end(error) {
      if (!span.isRecording()) return
      if (error !== undefined) {
        span.setAttribute('error.type', error)
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end()
    },
  }
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: share }: TracingConfig): Sampler {
  const plain = name.replace('parentbased_', '')
  const root =
    plain === 'always_on'
      ? new AlwaysOnSampler()
      : plain === 'always_off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(share)
  return name === plain ? root : new ParentBasedSampler({ root })
}
