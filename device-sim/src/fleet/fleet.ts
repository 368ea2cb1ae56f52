/** Many controllers in one process: ramp, churn, faults, and what became of them. */
import type { Fault } from '../device/faults.ts'
import { createSimulator, type Simulator } from '../simulator.ts'
import type { FleetCredentials } from './credentials-file.ts'

export type FleetOptions = {
  url: string
  size: number
  credentials: FleetCredentials
  /** Controllers that start per second. */
  rampPerSec: number
  /** Controllers cut off per second. */
  churnPerSec: number
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
  reconnects: number
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
  const counts = emptyCounts()
  let rampTimer: NodeJS.Timeout | undefined
  let churnTimer: NodeJS.Timeout | undefined
  let flushTimer: NodeJS.Timeout | undefined

  function startOne(): void {
    const device = createSimulator({
      url: options.url,
      ...options.credentials.device(devices.length),
      reportEveryMs: options.reportEveryMs,
      faults: options.faults,
    })
    watch(device, counts)
    devices.push(device)
    device.start()
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
      await Promise.all(devices.map((device) => device.stop()))
      options.credentials.flush()
    },
    counts: () => ({ ...counts, started: devices.length, closeCodes: { ...counts.closeCodes } }),
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

function watch({ events }: Simulator, counts: FleetCounts): void {
  let isOnline = false
  let isWaiting = false
  let hasBeenOnline = false
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
    hasBeenOnline = true
    counts.online += 1
    counts.peak = Math.max(counts.peak, counts.online)
  })
  events.on('closed', ({ code }) => {
    leave()
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
    errors: 0,
    stopped: 0,
    closeCodes: {},
  }
}
