/** kill -9 of a shard while people work: how long its controllers stay away, and what the others' people notice. */
import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../../bench/stats.ts'
import type { ServiceName } from '../start/services.ts'
import type { DeviceReport, FleetDevice } from './fleet.ts'
import { startLoad } from './load.ts'
import type { Failure, LoadOptions, LoadReport } from './load.ts'
import type { RemoteFleet } from './remote-fleet.ts'
import type { Stage } from './stage.ts'

export interface KilledReport {
  readonly tunnels: number
  /** Controllers whose shard was killed. */
  readonly lost: number
  /** From the kill to their registration elsewhere. */
  readonly backMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly notBack: number
  /** Most registrations within one second. */
  readonly registrationsPerSecond: number
  readonly load: LoadReport
  /** Failures of requests that neither came to the killed shard nor were for its controllers: there must be none. */
  readonly otherFailures: readonly Failure[]
  /** Failures of requests for its controllers after they had registered elsewhere: there must be none. */
  readonly lateFailures: readonly Failure[]
  /** Long answers under way at the kill through that shard, and how they ended. */
  readonly inFlight: { readonly cut: number; readonly refused: number; readonly whole: number }
  /** POSTs that reached a device more than once. */
  readonly repeated: readonly string[]
  readonly invariants: readonly string[]
}

export interface KilledOptions {
  readonly victim: ServiceName
  readonly load: Pick<LoadOptions, 'perSecond'>
  /** Load before the kill, and after all are back. */
  readonly restMs: number
  /** Controllers may stay away so long. */
  readonly timeoutMs: number
  readonly inFlight: number
}

/** The fleet must be online. People come to each gateway directly, so that it is known who met the killed one. */
export async function killShard(
  stage: Stage,
  fleet: RemoteFleet,
  options: KilledOptions,
): Promise<KilledReport> {
  const { stack } = stage
  const gateways = stack.gateways()
  const victim = gateways.find(({ name }) => name === options.victim)!
  const load = startLoad({
    ...options.load,
    ports: gateways.map(({ port }) => port),
    devices: fleet.devices,
    token: stage.token,
  })
  await sleep(options.restMs)
  const drips = Array.from({ length: options.inFlight }, (_, index) =>
    drip(victim.port, fleet.devices[index]!, stage.token()),
  )
  await Promise.all(drips.map(({ begun }) => begun))
  const before = await fleet.report()
  const killedAt = Date.now()
  await stack.kill(options.victim)
  const changed = (report: readonly DeviceReport[]) =>
    report.filter((device, index) => device.registrations > before[index]!.registrations)
  // Its sockets are closed by the system; the devices hear of it within moments.
  await sleep(1_000)
  const deadline = killedAt + options.timeoutMs
  while ((await fleet.report()).some(({ isOnline }) => !isOnline) && Date.now() < deadline) await sleep(100)
  await sleep(options.restMs)
  const report = await load.stop()
  const after = await fleet.report()
  const back = changed(after)
  const backAt = new Map(back.map(({ id, registeredAt }) => [id, registeredAt]))
  const waits = back.map(({ registeredAt }) => registeredAt - killedAt).toSorted((a, b) => a - b)
  const elsewhere = report.failures.filter(({ port }) => port !== victim.port)
  const ends = await Promise.all(drips.map(({ ended }) => ended))
  const count = (end: DripEnd) => ends.filter((one) => one === end).length
  return {
    tunnels: before.length,
    lost: back.length,
    backMs: { p50: percentile(waits, 0.5), p99: percentile(waits, 0.99), max: waits.at(-1) ?? 0 },
    notBack: after.filter(({ isOnline }) => !isOnline).length,
    registrationsPerSecond: busiestSecond(back.map(({ registeredAt }) => registeredAt)),
    load: report,
    otherFailures: elsewhere.filter(({ controllerId }) => !backAt.has(controllerId)),
    lateFailures: elsewhere.filter(
      ({ controllerId, startedAt }) => startedAt > (backAt.get(controllerId) ?? Infinity),
    ),
    inFlight: { cut: count('cut'), refused: count('refused'), whole: count('whole') },
    repeated: [...(await fleet.arrived())].flatMap(([path, times]) => (times > 1 ? [path] : [])),
    invariants: await stage.invariants(),
  }
}

/** Most of the times that lie within one second. */
export function busiestSecond(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  let most = 0
  let from = 0
  for (const [index, time] of sorted.entries()) {
    while (time - sorted[from]! >= 1_000) from += 1
    most = Math.max(most, index - from + 1)
  }
  return most
}

const DRIP_BYTES = 300

type DripEnd = 'whole' | 'cut' | 'refused'

/** An answer of 30 s through that port. */
function drip(port: number, device: FleetDevice, token: string) {
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<DripEnd>()
  const end = (how: DripEnd) => {
    begun.resolve()
    ended.resolve(how)
  }
  const call = httpRequest({
    agent: false,
    host: '127.0.0.1',
    port,
    path: `/c/${device.controller_id}/drip/${DRIP_BYTES}`,
    headers: { host: 'localhost', authorization: `Bearer ${token}` },
  })
  call.once('error', () => end('refused'))
  call.once('response', (response) => {
    if (response.statusCode !== 200) return end('refused')
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      begun.resolve()
      bytes += chunk.length
    })
    response.once('error', () => end('cut'))
    return response.once('end', () => end(bytes === DRIP_BYTES ? 'whole' : 'cut'))
  })
  call.end()
  return { begun: begun.promise, ended: ended.promise }
}
