/** A stage with a fleet that is online on it. */
import { openRemoteFleet } from './remote-fleet.ts'
import type { RemoteFleet } from './remote-fleet.ts'
import { openStage } from './stage.ts'
import type { Stage } from './stage.ts'

export interface FleetStage {
  readonly stage: Stage
  readonly fleet: RemoteFleet
  stop(): Promise<void>
}

/** Rejects, with everything stopped, when the `devices` are not online within `timeoutMs`. */
export async function openFleetStage({
  devices,
  perSecond = 100,
  timeoutMs = 60_000,
  ...options
}: Parameters<typeof openStage>[0] & {
  devices: number
  /** New connections. */
  perSecond?: number
  timeoutMs?: number
}): Promise<FleetStage> {
  const stage = await openStage(options)
  let fleet: RemoteFleet | null = null
  const stop = async () => {
    await fleet?.stop()
    await stage.stop()
  }
  try {
    const url = `ws://localhost:${stage.stack.port}/tunnel`
    fleet = await openRemoteFleet(stage.state, url, await stage.provision(devices))
    await fleet.start(perSecond)
    await fleet.online(timeoutMs)
    return { stage, fleet, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
