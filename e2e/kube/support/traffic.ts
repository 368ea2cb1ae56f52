/** Simulated controllers with steady requests to them, through the shards' Service. */
import { provision } from '../../../scripts/start/provision.ts'
import { createFleet } from '../../../scripts/soak/fleet.ts'
import type { Fleet } from '../../../scripts/soak/fleet.ts'
import { kindOf } from '../../../scripts/soak/kinds.ts'
import { startLoad } from '../../../scripts/soak/load.ts'
import type { Failure } from '../../../scripts/soak/load.ts'
import { eventually } from '../../support/stack.ts'
import { openDatabase, signIn } from './installation.ts'
import type { Installation } from './installation.ts'

export interface Traffic {
  readonly fleet: Fleet
  online(): number
  /** Requests and failures since the last call. */
  since(): { requests: number; failures: readonly Failure[] }
  stop(): Promise<void>
}

/** Answers when all controllers are online and the requests have begun. */
export async function startTraffic(
  installation: Installation,
  options: { devices: number; perSecond: number },
): Promise<Traffic> {
  const token = await signIn(installation)
  const database = await openDatabase(installation)
  const { port } = installation.gateway
  const credentials = await provision({
    databaseUrl: database.url,
    credentialKey: database.credentialKey,
    email: database.email,
    count: options.devices,
    name: 'pump',
  })
  await database.close()
  const devices = credentials.map((credential, index) => ({ ...credential, kind: kindOf(index) }))
  const fleet = createFleet(`ws://localhost:${port}/tunnel`, devices)
  const online = () => fleet.report().filter(({ isOnline }) => isOnline).length
  await fleet.start(50)
  await eventually(async () => online() === options.devices, 'all controllers are online', 60_000)
  const load = startLoad({ ports: [port], devices, token: () => token, perSecond: options.perSecond })
  let seen = { requests: 0, failures: 0 }
  return {
    fleet,
    online,
    since() {
      const news = {
        requests: load.requests - seen.requests,
        failures: load.failures.slice(seen.failures),
      }
      seen = { requests: load.requests, failures: load.failures.length }
      return news
    },
    async stop() {
      await load.stop()
      await fleet.stop()
    },
  }
}
