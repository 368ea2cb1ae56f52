/** Judges a gateway: the kit is its device, and the person who visits it. */
import { once } from 'node:events'
import { createMemoryStore } from '@wmoc/device-sim/device/store'
import { createSimulator } from '@wmoc/device-sim/simulator'
import { createForward } from '@wmoc/device-sim/upstream/forward'
import { within, type Feature } from './case.ts'
import { EXCHANGE_CASES } from './cases/all.ts'
import { GATEWAY_CASES, type GatewayBench } from './cases/gateway.ts'
import { startPage } from './page.ts'
import { runCases, type Result, type RunOptions } from './runner.ts'
import { httpTransport } from './transports/http-transport.ts'
import type { Transport } from './transports/transport.ts'

export const TARGET_GATEWAY_CASES = GATEWAY_CASES

export interface GatewayTarget extends Pick<RunOptions, 'only' | 'onResult'> {
  /** http://host:port of the platform. */
  readonly url: string
  readonly dialect: 'v1' | 'v2'
  readonly token?: string
  readonly credentials?: { readonly controller_id: string; readonly secret: string }
  /** Access token of the controller's owner. */
  readonly bearer: string
  /** Another way to the device than `/c/{id}` of the platform: its own origin, another shard. */
  readonly user?: (controllerId: string, can: readonly Feature[]) => Transport & { stop(): void }
}

const REGISTER_MS = 30_000
const CAN_V1: readonly Feature[] = ['page', 'v1']
const CAN_V2: readonly Feature[] = ['page', 'v2', 'stream', 'websocket', 'trailers', 'backpressure']
/** What the kit's device announces; v1 bodies come whole. */
const MAX_V1_BODY = 1_048_576

/** The exchange cases through the gateway, then what it owes a device (dialect v2 only). */
export async function judgeGateway(target: GatewayTarget): Promise<Result[]> {
  const { dialect, only, onResult } = target
  const page = await startPage()
  const device = await onlineDevice(target, page.url)
  const can = dialect === 'v1' ? CAN_V1 : CAN_V2
  const user = (target.user ?? ((id, features) => pathTransport(target, id, features)))(
    device.credentials.controller_id,
    can,
  )
  const run = {
    only,
    can: new Set(can),
    target: `gateway, ${dialect}, ${user.name}`,
    ...(onResult ? { onResult } : {}),
  }
  try {
    const results = await runCases(EXCHANGE_CASES, user, run)
    await device.stop()
    if (dialect === 'v1') return results
    const tunnelUrl = tunnelOf(target.url)
    const bench: GatewayBench = { tunnelUrl, credentials: device.credentials, user }
    return [...results, ...(await runCases(GATEWAY_CASES, bench, run))]
  } finally {
    await device.stop()
    user.stop()
    await page.stop()
  }
}

function tunnelOf(url: string): string {
  return `${url.replace(/^http/, 'ws').replace(/\/$/, '')}/tunnel`
}

/** Requests as a script makes them: `/c/{id}` and the owner's access token. */
function pathTransport({ url, bearer }: GatewayTarget, id: string, can: readonly Feature[]) {
  const { hostname, port } = new URL(url)
  return httpTransport({
    name: 'path mode',
    host: hostname,
    port: Number(port || 80),
    prefix: `/c/${id}`,
    headers: { authorization: `Bearer ${bearer}` },
    can,
    maxRequestBody: MAX_V1_BODY,
  })
}

/** The simulated device in front of the conformance page, once it is registered. */
async function onlineDevice({ url, dialect, token, credentials }: GatewayTarget, origin: string) {
  const store = createMemoryStore()
  if (credentials) store.save({ mac: '02:00:00:00:00:01', current: credentials, next: null })
  const { handler, socketHandler, close } = createForward(origin)
  const simulator = createSimulator({
    url: tunnelOf(url),
    protocol: dialect,
    store,
    handler,
    socketHandler,
    reportEveryMs: 0,
    ...(token ? { token } : {}),
  })
  const stop = async () => {
    await simulator.stop()
    close()
  }
  simulator.start()
  try {
    await within('registered', REGISTER_MS, once(simulator.events, 'registered'))
  } catch (error) {
    await stop()
    throw error
  }
  const issued = store.load()?.next ?? store.load()?.current
  if (!issued) throw new Error('the gateway issued no credentials')
  return { credentials: issued, stop }
}
