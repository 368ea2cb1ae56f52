/** The fleet of `fleet-process.ts` as its owner sees it: started, asked, stopped. */
import { writeFileSync } from 'node:fs'
import type { State } from '../start/state.ts'
import type { DeviceReport, FleetDevice } from './fleet.ts'
import { startPortProcess } from './port-process.ts'

export interface RemoteFleet {
  readonly devices: readonly FleetDevice[]
  /** Begins to connect so many per second. */
  start(perSecond: number): Promise<void>
  report(): Promise<DeviceReport[]>
  /** Path of each POST and upload that reached a device, and how often. */
  arrived(): Promise<Map<string, number>>
  closeCodes(): Promise<Record<string, number>>
  /** Ends its connection without a goodbye; it comes back. */
  cut(controllerId: string): Promise<void>
  /** Its connection neither reads nor writes nor closes any more, until it is cut. */
  freeze(controllerId: string): Promise<void>
  /** Resolves when so many (default: all) are online; rejects with how many are when `timeoutMs` pass. */
  online(timeoutMs: number, count?: number): Promise<void>
  stop(): Promise<void>
}

/** Starts the process; nothing connects before `start`. */
export async function openRemoteFleet(
  state: State,
  url: string,
  devices: readonly FleetDevice[],
  name = 'load-fleet',
): Promise<RemoteFleet> {
  const file = state.path(`${name}.jsonl`)
  writeFileSync(file, devices.map((device) => `${JSON.stringify(device)}\n`).join(''), { mode: 0o600 })
  const { port, stop } = await startPortProcess(state, name, 'scripts/soak/fleet-process.ts', [url, file])
  const ask = async <T>(path: string): Promise<T> =>
    (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as T

  const fleet: RemoteFleet = {
    devices,
    start: (perSecond) => ask(`/start?rate=${perSecond}`),
    report: () => ask('/report'),
    arrived: async () => new Map(await ask<[string, number][]>('/arrived')),
    closeCodes: () => ask('/close-codes'),
    cut: (controllerId) => ask(`/cut?id=${controllerId}`),
    freeze: (controllerId) => ask(`/freeze?id=${controllerId}`),
    online: (timeoutMs, count) => whenOnline(fleet, timeoutMs, count),
    stop,
  }
  return fleet
}

/** Resolves when `count` of them (default: all) are online; rejects with how many are when `timeoutMs` pass. */
export async function whenOnline(
  fleet: RemoteFleet,
  timeoutMs: number,
  count = fleet.devices.length,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const online = (await fleet.report()).filter(({ isOnline }) => isOnline).length
    if (online >= count) return
    if (Date.now() > deadline) throw new Error(`${online} of ${count} devices online after ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
