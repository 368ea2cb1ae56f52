/** What the controller's own page shows and changes. */
import { createSensors, type Reading } from '../device/sensors.ts'

/** `bytes` null: too big to be kept. */
export type StoredFile = {
  name: string
  contentType: string
  size: number
  bytes: Buffer | null
  sha256: string
}

export type Settings = { name: string; targetCelsius: number; reportSec: number }

export type PageModel = {
  isOn: boolean
  settings: Settings
  readonly files: Map<string, StoredFile>
  readonly model: string
  readonly firmware: string
  bootedAtMs: number
  /** Current measurements. */
  read(): Reading
}

/** A page with the switch off, nothing uploaded and the default settings. */
export function createPageModel(options: {
  model: string
  firmware: string
  nowMs: () => number
  random: () => number
}): PageModel {
  const sensors = createSensors(options.nowMs())
  const page: PageModel = {
    isOn: false,
    settings: { name: 'Boiler room', targetCelsius: 24, reportSec: 5 },
    files: new Map(),
    model: options.model,
    firmware: options.firmware,
    bootedAtMs: options.nowMs(),
    read: () =>
      sensors.read(
        options.nowMs(),
        { isOn: page.isOn, targetCelsius: page.settings.targetCelsius, bootedAtMs: page.bootedAtMs },
        options.random,
      ),
  }
  return page
}
