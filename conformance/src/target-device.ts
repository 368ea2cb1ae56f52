/** Judges a device: the kit is its gateway. */
import type { Feature } from './case.ts'
import { EXCHANGE_CASES } from './cases/all.ts'
import { DEVICE_V1_CASES } from './cases/device-v1.ts'
import { DEVICE_V2_CASES } from './cases/device-v2.ts'
import { DEVICE_CASES } from './cases/device.ts'
import { whole } from './cases/requests.ts'
import type { DeviceBench } from './device/listener.ts'
import { runCases, type Result, type RunOptions } from './runner.ts'
import type { Transport } from './transports/transport.ts'

export const TARGET_DEVICE_CASES = [...DEVICE_CASES, ...DEVICE_V1_CASES, ...DEVICE_V2_CASES] as const

/** Asks over whatever connection the device has now. */
function liveTransport(bench: DeviceBench, can: ReadonlySet<Feature>, maxRequestBody: number): Transport {
  return {
    name: `${bench.dialect} device`,
    can,
    maxRequestBody,
    ask: async (ask) => (await bench.connection()).transport.ask(ask),
    socket: async (path, protocols) => (await bench.connection()).transport.socket(path, protocols),
  }
}

/** Waits for the device, finds out what it can, runs what applies. */
export async function judgeDevice(
  bench: DeviceBench,
  options: Pick<RunOptions, 'only' | 'onResult'>,
): Promise<Result[]> {
  const { transport } = await bench.connection()
  const can = new Set<Feature>([...transport.can, 'cookies'])
  if (await hasPage(transport)) can.add('page')
  const run = { ...options, can, target: `${bench.dialect} device` }
  const live = liveTransport(bench, can, transport.maxRequestBody)
  return [
    ...(await runCases(EXCHANGE_CASES, live, run)),
    ...(await runCases(TARGET_DEVICE_CASES, bench, run)),
  ]
}

async function hasPage(transport: Transport): Promise<boolean> {
  const { status, bytes } = await whole(transport, { path: '/conformance/' })
  return status === 200 && bytes.toString().startsWith('wmoc conformance page')
}
