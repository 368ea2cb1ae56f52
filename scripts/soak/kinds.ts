/** The kinds of devices that a fleet under test is made of: what each can do when its gateway goes. */
import type { DeviceFeature } from '@wmoc/protocol/messages'

export interface Kind {
  readonly protocol: 'v1' | 'v2'
  readonly features: readonly DeviceFeature[]
}

export const KINDS = {
  /** The JSON of the requirements document and nothing else. */
  v1: { protocol: 'v1', features: [] },
  'v1 overlap': { protocol: 'v1', features: ['overlap'] },
  /** One connection at a time, as on a small chip. */
  v2: { protocol: 'v2', features: [] },
  'v2 all features': { protocol: 'v2', features: ['overlap', 'follow', 'resume'] },
} as const satisfies Record<string, Kind>
export type KindName = keyof typeof KINDS

const NAMES = Object.keys(KINDS) as KindName[]

/** Device number `index` of a mixed fleet. */
export function kindOf(index: number): KindName {
  return NAMES[index % NAMES.length]!
}
