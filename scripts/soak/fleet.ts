/** Many controllers in one process that remember what reached them: the other end of `load.ts`. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  DeviceRequest,
  RequestHandler,
  ResponseSink,
  SocketHandler,
} from '@wmoc/device-sim/device/handler'
import { createMemoryStore } from '@wmoc/device-sim/device/store'
import { createSimulator } from '@wmoc/device-sim/simulator'
import type { Simulator } from '@wmoc/device-sim/simulator'
import type { DeviceCredential } from '../start/provision.ts'
import { KINDS } from './kinds.ts'
import type { KindName } from './kinds.ts'

export interface FleetDevice extends DeviceCredential {
  readonly kind: KindName
}

/** One controller as the fleet saw it; times by this machine's clock. */
export interface DeviceReport {
  readonly id: string
  readonly kind: KindName
  readonly isOnline: boolean
  /** The first one included. */
  readonly registrations: number
  readonly registeredAt: number
  /** Its newest tunnel closed; 0: never. */
  readonly closedAt: number
  /** Epoch of the newest registration. */
  readonly epoch: number
}

export interface Fleet {
  /** Connects so many per second. */
  start(perSecond: number): Promise<void>
  report(): DeviceReport[]
  /** How often each POST and upload reached a device, by its id. */
  readonly arrived: ReadonlyMap<string, number>
  readonly closeCodes: Readonly<Record<string, number>>
  /** Of the device with this id: cuts its socket, or lets it neither read nor write. */
  find(id: string): Simulator | undefined
  stop(): Promise<void>
}

const EVENT_EVERY_MS = 250
const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }

/**
 * Answers `GET /get/…` with the controller's id and the path, `POST /post/…` and `/upload/…` with id, path and SHA-256 of
 * the body, `/drip/N` with N bytes, one in 100 ms; `/events` is a stream of numbered events, `/ws` an echo.
 */
export function createFleet(url: string, devices: readonly FleetDevice[]): Fleet {
  const arrived = new Map<string, number>()
  const closeCodes: Record<string, number> = {}
  const members = devices.map((device) => createMember(url, device, arrived, closeCodes))
  const byId = new Map(members.map((member) => [member.device.controller_id, member]))

  return {
    async start(perSecond) {
      for (const [index, { simulator }] of members.entries()) {
        simulator.start()
        if ((index + 1) % Math.ceil(perSecond / 20) === 0) await sleep(50)
      }
    },
    report: () => members.map((member) => member.report()),
    arrived,
    closeCodes,
    find: (id) => byId.get(id)?.simulator,
    async stop() {
      await Promise.all(members.map(({ simulator }) => simulator.stop()))
    },
  }
}

function createMember(
  url: string,
  device: FleetDevice,
  arrived: Map<string, number>,
  closeCodes: Record<string, number>,
) {
  const { controller_id, secret } = device
  const kind = KINDS[device.kind]
  const simulator = createSimulator({
    url,
    protocol: kind.protocol,
    features: kind.features,
    store: createMemoryStore({ current: { controller_id, secret }, next: null }),
    handler: answersOf(controller_id, arrived),
    socketHandler: echoOf(controller_id),
    reportEveryMs: 0,
  })
  const seen = { registrations: 0, registeredAt: 0, closedAt: 0, epoch: 0 }
  simulator.events.on('registered', ({ epoch }) => {
    seen.registrations += 1
    seen.registeredAt = Date.now()
    seen.epoch = epoch
  })
  const count = (code: number) => (closeCodes[code] = (closeCodes[code] ?? 0) + 1)
  simulator.events.on('closed', ({ code }) => {
    seen.closedAt = Date.now()
    count(code)
  })
  simulator.events.on('left', ({ code }) => count(code))
  return {
    device,
    simulator,
    report: (): DeviceReport => ({
      id: controller_id,
      kind: device.kind,
      isOnline: simulator.isOnline,
      ...seen,
    }),
  }
}

function answersOf(id: string, arrived: Map<string, number>): RequestHandler {
  return async (request, sink) => {
    const [, what, key] = request.path.split('/')
    if (what === 'get') await sink.whole(200, TEXT, Buffer.from(`${id} ${request.path}`))
    else if (what === 'post' || what === 'upload') await take(request, sink, id, arrived)
    else if (what === 'events' && request.isLive) await events(request, sink, id)
    else if (what === 'drip') await drip(sink, Number(key))
    else await sink.whole(404, TEXT)
  }
}

async function take(
  request: DeviceRequest,
  sink: ResponseSink,
  id: string,
  arrived: Map<string, number>,
): Promise<void> {
  arrived.set(request.path, (arrived.get(request.path) ?? 0) + 1)
  const hash = createHash('sha256')
  for await (const piece of request.body) hash.update(piece)
  await sink.whole(200, TEXT, Buffer.from(`${id} ${request.path} ${hash.digest('hex')}`))
}

async function events({ signal }: DeviceRequest, sink: ResponseSink, id: string): Promise<void> {
  await sink.begin(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  for (let n = 0; !signal.aborted; n += 1) {
    await sink.write(Buffer.from(`data: ${id} ${n}\n\n`))
    await sleep(EVENT_EVERY_MS, undefined, { signal }).catch(() => {})
  }
}

async function drip(sink: ResponseSink, bytes: number): Promise<void> {
  await sink.begin(200, { ...TEXT, 'Content-Length': String(bytes) })
  for (let n = 0; n < bytes; n += 1) {
    await sink.write(Buffer.from('.'))
    await sleep(100)
  }
  await sink.end()
}

function echoOf(id: string): SocketHandler {
  return (request, socket) => {
    if (request.path !== '/ws') return socket.refuse(404, TEXT, Buffer.from('no such WebSocket'))
    return socket.accept(
      {},
      {
        message: (bytes) => socket.send(Buffer.concat([Buffer.from(`${id} `), bytes]), false),
        closed: () => {},
      },
    )
  }
}
