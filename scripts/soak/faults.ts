/** What can go wrong, each done and undone; which one and for how long is the dice's. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceName } from '../start/services.ts'
import { createFleet } from './fleet.ts'
import type { FleetDevice } from './fleet.ts'
import type { RemoteFleet } from './remote-fleet.ts'
import type { Stage } from './stage.ts'

export interface FaultScene {
  readonly stage: Stage
  readonly fleet: RemoteFleet
  /** A controller that nobody asks for anything: its copy fights with it. */
  readonly twin: FleetDevice
  readonly dice: Dice
}

export interface Dice {
  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number
  pick<T>(list: readonly T[]): T
}

/** The same throws for the same seed (mulberry32). */
export function createDice(seed: number): Dice {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return { between, pick: (list) => list[between(0, list.length - 1)]! }
}

/** Resolves with a few words about what was done, when it is undone. */
type Fault = (scene: FaultScene) => Promise<string>

const awayMs = ({ dice }: FaultScene) => dice.between(1, 8) * 1_000

function anyGateway({ stage, dice }: FaultScene): ServiceName {
  return dice.pick([...new Set(stage.stack.gateways().map(({ name }) => name))].toSorted())
}

function someDevices({ fleet, dice }: FaultScene): string[] {
  return Array.from({ length: 5 }, () => dice.pick(fleet.devices).controller_id)
}

export const FAULTS = {
  async kill(scene) {
    const name = anyGateway(scene)
    const ms = awayMs(scene)
    await scene.stage.stack.kill(name)
    await sleep(ms)
    await scene.stage.stack.restart(name)
    return `${name} away for ${ms} ms`
  },
  async pause(scene) {
    const name = anyGateway(scene)
    const ms = awayMs(scene)
    scene.stage.stack.pause(name)
    await sleep(ms)
    scene.stage.stack.resume(name)
    return `${name} stood still for ${ms} ms`
  },
  async replace(scene) {
    const name = anyGateway(scene)
    const { code } = await scene.stage.stack.replace(name)
    return `${name}, exit code ${code}`
  },
  async restart(scene) {
    const name = anyGateway(scene)
    const { code } = await scene.stage.stack.cycle(name)
    return `${name}, exit code ${code}`
  },
  async 'store away'(scene) {
    const ms = awayMs(scene)
    await scene.stage.store.stop()
    await sleep(ms)
    await scene.stage.store.start()
    return `${ms} ms, empty afterwards`
  },
  async 'store flushed'({ stage }) {
    await stage.store.flush()
    return 'everything in it lost'
  },
  async 'database away'(scene) {
    const ms = awayMs(scene)
    await scene.stage.postgres.stop()
    await sleep(ms)
    await scene.stage.postgres.start()
    return `${ms} ms`
  },
  async 'half-open'(scene) {
    const ids = someDevices(scene)
    const ms = awayMs(scene)
    await Promise.all(ids.map((id) => scene.fleet.freeze(id)))
    await sleep(ms)
    await Promise.all(ids.map((id) => scene.fleet.cut(id)))
    return `${ids.length} tunnels frozen for ${ms} ms`
  },
  async cut(scene) {
    const ids = someDevices(scene)
    await Promise.all(ids.map((id) => scene.fleet.cut(id)))
    return `${ids.length} tunnels`
  },
  async duplicate({ stage, twin }) {
    const both = createFleet(`ws://localhost:${stage.stack.port}/tunnel`, [twin, twin])
    await both.start(20)
    await sleep(5_000)
    await both.stop()
    const codes = Object.entries(both.closeCodes).map(([code, times]) => `${times} × ${code}`)
    return `closed with ${codes.join(', ') || 'nothing'}`
  },
} as const satisfies Record<string, Fault>
export type FaultName = keyof typeof FAULTS
