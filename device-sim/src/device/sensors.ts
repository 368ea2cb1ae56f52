/** What a simulated controller measures. Pure: time and randomness come in. */
import type { MetricItem } from '@wmoc/protocol/messages'

export type Surroundings = {
  /** The heater behind the switch. */
  isOn: boolean
  targetCelsius: number
  bootedAtMs: number
}

export type Sensors = {
  /** Moves the room on to `nowMs` and reads it. `random` in [0, 1) is the noise of the sensors. */
  read(nowMs: number, surroundings: Surroundings, random: () => number): Reading
}

export type Reading = {
  temperature: number
  humidity: number
  rssi: number
  uptime: number
  heap: number
}

const OUTSIDE_CELSIUS = 18
/** How quickly the room follows: a third of the way in about ten seconds, so that a person sees the switch work. */
const ROOM_TIME_CONSTANT_MS = 25_000
const FREE_HEAP_BYTES = 182_000

/** A room that cools towards 18 °C and is heated to the target while the switch is on. */
export function createSensors(startMs: number): Sensors {
  let celsius = OUTSIDE_CELSIUS + 3
  let readAtMs = startMs
  return {
    read(nowMs, { isOn, targetCelsius, bootedAtMs }, random) {
      const elapsedMs = Math.max(0, nowMs - readAtMs)
      readAtMs = nowMs
      const goal = isOn ? targetCelsius : OUTSIDE_CELSIUS
      celsius += (goal - celsius) * (1 - Math.exp(-elapsedMs / ROOM_TIME_CONSTANT_MS))
      return {
        temperature: round(celsius + (random() - 0.5) * 0.2, 2),
        humidity: round(62 - (celsius - OUTSIDE_CELSIUS) * 1.1 + (random() - 0.5), 1),
        rssi: -58 - Math.floor(random() * 7),
        uptime: Math.max(0, Math.floor((nowMs - bootedAtMs) / 1_000)),
        heap: FREE_HEAP_BYTES - Math.floor(random() * 9_000),
      }
    },
  }
}

/** A reading as metric items, all with one time (milliseconds since 1970). */
export function metricItems(reading: Reading, nowMs: number): MetricItem[] {
  return Object.entries(reading).map(([type, value]) => ({ type, value, timestamp: nowMs }))
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
