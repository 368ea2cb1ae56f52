/** A fleet on several shards for the tests of one suite. */
import { after, before } from 'node:test'
import { openFleetStage } from '../../scripts/soak/fleet-stage.ts'
import type { FleetStage } from '../../scripts/soak/fleet-stage.ts'

/** Starts it before the suite's tests and stops it after them; what it answers is for use within them. */
export function useFleetStage(options: Parameters<typeof openFleetStage>[0]): Omit<FleetStage, 'stop'> {
  let opened: FleetStage | undefined
  before(async () => {
    opened = await openFleetStage({ timeoutMs: 120_000, ...options })
  })
  after(() => opened?.stop())
  return {
    get stage() {
      return opened!.stage
    },
    get fleet() {
      return opened!.fleet
    },
  }
}
