import type { Kernel } from '#src/kernel/module.ts'
import type { Partitions } from './partitions.ts'
import type { createRetention } from './retention.ts'
import { countDirtyMinutes } from './rollup.ts'

/** How far the rollups may lag; what is not counted yet is counted by the query that asks for it. */
const ROLLUP_EVERY_MS = 10_000

/** Registers the background work: rollups, tomorrow's partitions, retention. */
export function registerTelemetryJobs(
  { jobs, db, clock, log }: Pick<Kernel, 'jobs' | 'db' | 'clock' | 'log'>,
  { partitions, retention }: { partitions: Partitions; retention: ReturnType<typeof createRetention> },
): void {
  jobs.every('telemetry.rollup', ROLLUP_EVERY_MS, async () => {
    await countDirtyMinutes(db)
  })
  jobs.schedule('telemetry.partitions', '7 * * * *', () => partitions.ensureAround(clock()))
  jobs.schedule('telemetry.retention', '23 3 * * *', async () => {
    const { partitionsDropped, rowsDeleted } = await retention.run(clock())
    log.info('jobs', 'old telemetry deleted', {
      partitions_dropped: partitionsDropped,
      rows_deleted: rowsDeleted,
    })
  })
}
