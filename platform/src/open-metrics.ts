/** The metrics of a process as OpenMetrics 1.0, for a scraper that asks for it: the format that carries exemplars. */
import { Registry } from 'prom-client'
import type { Metric } from 'prom-client'

export const OPEN_METRICS = Registry.OPENMETRICS_CONTENT_TYPE

/** Whether a scraper says that it reads the format. @param accept Its `Accept` header. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  return accept !== undefined && accept.includes('application/openmetrics-text')
}

/**
 * Everything in `registry`. prom-client renames the counters of a registry that it prints in this format, for good:
 * therefore it prints copies.
 */
export function openMetricsOf(registry: Registry): Promise<string> {
  const copy = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
  copy.setContentType(OPEN_METRICS)
  for (const metric of registry.getMetricsAsArray() as unknown as Readable[]) {
    const get = async () => {
      const values = await metric.get()
      return { ...values, name: familyOf(values) }
    }
    const { name, help, type } = metric
    copy.registerMetric({ name, help, type, get } as unknown as Metric)
  }
  return copy.metrics()
}

interface Described {
  readonly name: string
  readonly help: string
  readonly type: string
}

interface Readable extends Described {
  get(): Promise<Described & { readonly values: readonly unknown[] }>
}

/** In this format `_total` is a part of a counter's sample, not of its name. */
function familyOf({ name, type }: Described): string {
  return type === 'counter' && name.endsWith('_total') ? name.slice(0, -'_total'.length) : name
}
