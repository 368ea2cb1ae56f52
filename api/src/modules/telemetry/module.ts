import type { Kernel, Module } from '#src/kernel/module.ts'
import { TIER_LIMITS } from '#src/kernel/tiers.ts'
import { telemetry } from './contract.ts'
import { createIngest } from './ingest.ts'
import { registerTelemetryJobs } from './jobs.ts'
import { createLive, type Live } from './live.ts'
import { addPageFigures } from './page-figures.ts'
import { createPartitions } from './partitions.ts'
import { createRetention } from './retention.ts'
import { telemetryRoutes } from './routes.ts'
import { createTelemetryService } from './service.ts'

/** Metrics and logs of controllers. `live` is what the stream of events listens to. */
export function createTelemetryModule(kernel: Kernel): Module & { readonly live: Live } {
  const partitions = createPartitions(kernel.db)
  const live = createLive(kernel)
  const retention = createRetention({ db: kernel.db, partitions, limits: TIER_LIMITS })
  return {
    name: telemetry.name,
    routes: [{ contract: telemetry, handlers: telemetryRoutes(createTelemetryService(kernel)) }],
    internal: {
      ingest: createIngest(kernel, { partitions, live }),
      'page-figures/report': (input) => addPageFigures(kernel, input),
    },
    register: () => registerTelemetryJobs(kernel, { partitions, retention }),
    live,
  }
}
