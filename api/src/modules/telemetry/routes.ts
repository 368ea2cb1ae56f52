import type { Handlers } from '#src/kernel/module.ts'
import type { telemetry } from './contract.ts'
import type { TelemetryService } from './service.ts'

/** Contract → service. */
export function telemetryRoutes(service: TelemetryService): Handlers<typeof telemetry> {
  return {
    metrics: ({ params, query }) => service.metrics(params.id, query),
    metricTypes: ({ params }) => service.metricTypes(params.id),
    logs: ({ params, query }) => service.logs(params.id, query),
    pageFigures: ({ params }) => service.pageFigures(params.id),
  }
}
