/** Prometheus metrics: one registry per process, names `wmoc_<process>_<noun>_<unit>`, label values from closed sets. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import packageJson from '../package.json' with { type: 'json' }

export interface Metrics {
  readonly registry: Registry
  counter<L extends string = never>(name: string, help: string, labelNames?: readonly L[]): Counter<L>
  gauge<L extends string = never>(name: string, help: string, labelNames?: readonly L[]): Gauge<L>
  histogram<L extends string = never>(
    name: string,
    help: string,
    options?: { labelNames?: readonly L[]; buckets?: number[] },
  ): Histogram<L>
}

/** Gauges of the library that are named like counters; the sums of those by type that stay. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/**
 * @param process Short name of the process, for `wmoc_build_info`; metric names are given whole.
 */
export function createMetrics(process_: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
  const metrics: Metrics = {
    registry,
    counter: (name, help, labelNames = []) =>
      new Counter({ name, help, labelNames: [...labelNames], registers: [registry] }),
    gauge: (name, help, labelNames = []) =>
      new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] }),
    histogram: (name, help, options = {}) =>
      new Histogram({
        name,
        help,
        labelNames: [...(options.labelNames ?? [])],
        registers: [registry],
        ...(options.buckets === undefined ? {} : { buckets: options.buckets }),
      }),
  }
  const { version } = packageJson
  metrics
    .gauge('wmoc_build_info', 'Build information; constant 1.', ['component', 'version', 'node_version'])
    .set({ component: process_, version, node_version: process.versions.node }, 1)
  return metrics
}
