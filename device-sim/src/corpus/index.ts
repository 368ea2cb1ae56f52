/** The fixture devices by name. */
import { createPageModel, type PageModel } from '../page/model.ts'
import { elegantOta } from './elegant-ota.ts'
import { esp3d } from './esp3d.ts'
import { esphome } from './esphome.ts'
import { espui } from './espui.ts'
import { everything } from './everything/index.ts'
import type { CorpusDevice } from './fixture.ts'
import { tasmota } from './tasmota.ts'
import { wled } from './wled.ts'

const MAKERS = {
  tasmota,
  wled,
  esphome,
  esp3d,
  espui,
  'elegant-ota': elegantOta,
  everything,
} satisfies Record<string, (model: PageModel) => CorpusDevice>

export type CorpusName = keyof typeof MAKERS
export const CORPUS_NAMES = Object.keys(MAKERS) as CorpusName[]

/** A fixture device as it is after its first start. */
export function createCorpusDevice(name: CorpusName): CorpusDevice {
  const description = { model: name, firmware: '1.0.0' }
  return MAKERS[name](createPageModel({ ...description, nowMs: Date.now, random: Math.random }))
}
