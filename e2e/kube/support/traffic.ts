/** Simulated controllers with steady requests to them, through the shards' Service. */
import { Agent } from 'node:http'
import { askOnce } from '../../../scripts/soak/ask.ts'
import type { Asked } from '../../../scripts/soak/ask.ts'
import { provision } from '../../../scripts/start/provision.ts'
import { createFleet } from '../../../scripts/soak/fleet.ts'
import type { DeviceReport, Fleet } from '../../../scripts/soak/fleet.ts'
import { kindOf } from '../../../scripts/soak/kinds.ts'
import { startLoad } from '../../../scripts/soak/load.ts'
import type { Failure, Load } from '../../../scripts/soak/load.ts'
import { eventually } from '../../support/stack.ts'
import { openDatabase, signIn } from './installation.ts'
import type { Installation } from './installation.ts'

const RENEW_MS = 5 * 60_000

export interface Traffic {
  readonly fleet: Fleet
  online(): number
  /** Requests and failures since the last call, or of the requests that began after `forgive`. */
  since(): { requests: number; failures: readonly Failure[] }
  /** What was asked until now may fail, and be told of its failure later. */
  forgive(): void
  /** Asks each controller once, by a new connection to this port or the Service; answers what failed. */
  askEach(port?: number): Promise<Asked[]>
  /** Cuts every controller's socket, and waits until all are back: together they come to all shards. */
  dialAnew(): Promise<void>
  /** The same people at other doors: requests to some of the controllers through these ports. */
  alongside(ports: readonly number[], controllerIds: ReadonlySet<string>): Load
  stop(): Promise<void>
}

/** Answers when all controllers are online and the requests have begun. */
export async function startTraffic(
  installation: Installation,
  options: { devices: number; perSecond: number },
): Promise<Traffic> {
  let { accessToken } = await signIn(installation)
  // It is good for a quarter of an hour, which a busy machine needs for less than all of this.
  const renewing = setInterval(() => void renew(), RENEW_MS)
  renewing.unref()
  const renew = async () => {
    const signedIn = await signIn(installation).catch(() => null)
    accessToken = signedIn?.accessToken ?? accessToken
  }
  const token = () => accessToken
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
  const load = startLoad({ ports: [port], devices, token, perSecond: options.perSecond })
  let seen = { requests: 0, failures: 0 }
  let forgivenUntil = 0
  return {
    fleet,
    online,
    since() {
      const news = {
        requests: load.requests - seen.requests,
        failures: load.failures.slice(seen.failures).filter(({ startedAt }) => startedAt >= forgivenUntil),
      }
      seen = { requests: load.requests, failures: load.failures.length }
      return news
    },
    forgive() {
      forgivenUntil = Date.now()
    },
    async askEach(at = port) {
      const agent = new Agent({ keepAlive: false, maxSockets: 50 })
      const shared = { agent, port: at, method: 'GET', key: 'again', body: null } as const
      const asked = await Promise.all(devices.map((device) => askOnce({ ...shared, device, token: token() })))
      return asked.filter(({ problem }) => problem !== null)
    },
    async dialAnew() {
      const before = new Map(fleet.report().map(({ id, registrations }) => [id, registrations]))
      for (const { controller_id } of devices) fleet.find(controller_id)?.cut()
      const isAnew = ({ id, registrations }: DeviceReport) => registrations > (before.get(id) ?? 0)
      await eventually(async () => fleet.report().every(isAnew), 'all controllers are back', 120_000)
    },
    alongside: (ports, controllerIds) =>
      startLoad({
        ports,
        devices: devices.filter(({ controller_id }) => controllerIds.has(controller_id)),
        token,
        perSecond: options.perSecond,
      }),
    async stop() {
      clearInterval(renewing)
      await load.stop()
      await fleet.stop()
    },
  }
}
