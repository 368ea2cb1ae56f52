/** Many controllers in one process: ramp, churn, faults, and what became of them. */
import type { Fault } from '../device/faults.ts'
import { createSimulator, type Simulator, type SimulatorOptions } from '../simulator.ts'
import type { FleetCredentials } from './credentials-file.ts'
import { createDurations, type Durations } from './durations.ts'
import { createGate } from './gate.ts'

/** What all controllers have in common. */
type Common = Pick<
  SimulatorOptions,
  'protocol' | 'profile' | 'features' | 'handler' | 'socketHandler' | 'maxStreams' | 'description'
>

export type FleetOptions = Common & {
  url: string
  size: number
  credentials: FleetCredentials
  /** Controllers that start per second. */
  rampPerSec: number
  /** Controllers cut off per second. */
  churnPerSec: number
  /** Connections that are opened per second, first ones and others; 0 or nothing: as fast as they want. */
  connectsPerSec?: number
  faults: readonly Fault[]
  reportEveryMs: number
  /** In [0, 1). */
  random?: () => number
}

export type FleetCounts = {
  started: number
  online: number
  /** Most at one time. */
  peak: number
  waitingForClaim: number
  requests: number
  commands: number
  acknowledged: number
  /** Registrations after the first, beside an old tunnel or after a loss. */
  reconnects: number
  /** Losses of a tunnel that was not left for another. */
  losses: number
  /** Milliseconds from such a loss to the next registration. */
  awayMs: { p50: number; p99: number; max: number }
  errors: number
  stopped: number
  /** How often each close code came. */
  closeCodes: Record<string, number>
}

export type Fleet = {
  start(): void
  stop(): Promise<void>
  counts(): FleetCounts
  readonly devices: readonly Simulator[]
}

const TICK_MS = 100
const FLUSH_MS = 2_000

/** Nothing happens before `start`; `stop` closes every tunnel with 1000 and keeps new credentials. */
export function createFleet(options: FleetOptions): Fleet {
  const random = options.random ?? Math.random
  const devices: Simulator[] = []
  const twins: Simulator[] = []
  const counts = emptyCounts()
  const away = createDurations()
  const gate = createGate(options.connectsPerSec ?? 0)
  let rampTimer: NodeJS.Timeout | undefined
  let churnTimer: NodeJS.Timeout | undefined
  let flushTimer: NodeJS.Timeout | undefined

  function startOne(): void {
    const identity = options.credentials.device(devices.length)
    const device = create(identity)
    devices.push(device)
    device.start()
    if (options.faults.includes('duplicate')) {
      device.events.once('registered', () => {
        const twin = create({ store: identity.store })
        twins.push(twin)
        twin.start()
      })
    }
  }

  function create(identity: Pick<SimulatorOptions, 'store' | 'token'>): Simulator {
    const device = createSimulator({ ...options, ...identity, gate: gate.pass })
    watch(device, counts, away)
    return device
  }

  return {
    devices,
    start() {
      rampTimer = everyTick(options.rampPerSec, () => {
        if (devices.length < options.size) startOne()
        else clearInterval(rampTimer)
      })
      if (options.churnPerSec > 0) {
        churnTimer = everyTick(options.churnPerSec, () =>
          devices[Math.floor(random() * devices.length)]?.cut(),
        )
      }
      flushTimer = setInterval(() => options.credentials.flush(), FLUSH_MS)
    },
    async stop() {
      for (const timer of [rampTimer, churnTimer, flushTimer]) clearInterval(timer)
      gate.stop()
      await Promise.all([...devices, ...twins].map((device) => device.stop()))
      options.credentials.flush()
    },
    counts: () => ({
      ...counts,
      started: devices.length,
      awayMs: {
        p50: Math.round(away.percentileMs(0.5)),
        p99: Math.round(away.percentileMs(0.99)),
        max: Math.round(away.maxMs),
      },
      closeCodes: { ...counts.closeCodes },
    }),
  }
}

/** Calls `act` as often per second as asked, in portions. */
function everyTick(perSec: number, act: () => void): NodeJS.Timeout {
  let owed = 0
  return setInterval(() => {
    owed += (perSec * TICK_MS) / 1_000
    for (; owed >= 1; owed -= 1) act()
  }, TICK_MS)
}

function watch({ events }: Simulator, counts: FleetCounts, away: Durations): void {
  let isOnline = false
  let isWaiting = false
  let hasBeenOnline = false
  let lostAtMs: number | null = null
  function leave(): void {
    if (isOnline) counts.online -= 1
    if (isWaiting) counts.waitingForClaim -= 1
    isOnline = false
    isWaiting = false
  }
  events.on('activationRequired', () => {
    if (!isWaiting) counts.waitingForClaim += 1
    isWaiting = true
  })
  events.on('registered', () => {
    leave()
    isOnline = true
    if (hasBeenOnline) counts.reconnects += 1
    if (lostAtMs !== null) away.record(performance.now() - lostAtMs)
    lostAtMs = null
    hasBeenOnline = true
    counts.online += 1
    counts.peak = Math.max(counts.peak, counts.online)
  })
  events.on('closed', ({ code }) => {
    if (isOnline) {
      counts.losses += 1
      lostAtMs = performance.now()
    }
    leave()
    counts.closeCodes[code] = (counts.closeCodes[code] ?? 0) + 1
  })
  events.on('left', ({ code }) => {
    counts.closeCodes[code] = (counts.closeCodes[code] ?? 0) + 1
  })
  events.on('stopped', () => {
    leave()
    counts.stopped += 1
  })
  events.on('request', () => (counts.requests += 1))
  events.on('command', () => (counts.commands += 1))
  events.on('acknowledged', () => (counts.acknowledged += 1))
  events.on('fault', () => (counts.errors += 1))
}

function emptyCounts(): FleetCounts {
  return {
    started: 0,
    online: 0,
    peak: 0,
    waitingForClaim: 0,
    requests: 0,
    commands: 0,
    acknowledged: 0,
    reconnects: 0,
    losses: 0,
    awayMs: { p50: 0, p99: 0, max: 0 },
    errors: 0,
    stopped: 0,
    closeCodes: {},
  }
}
