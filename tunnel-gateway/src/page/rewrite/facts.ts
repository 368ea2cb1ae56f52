/** What the rewriter has to know of a device: its own addresses, and its other ports. */
import { LRUCache } from 'lru-cache'
import type { Upstream } from '#src/core/upstream.ts'

export type DeviceFacts = Pick<Upstream, 'ownHosts' | 'ports'>

export interface KnownFacts {
  /** As they were when something was asked of the device last: a page may come of what is kept of it. */
  get(controllerId: string): DeviceFacts
  learn(upstream: Upstream): void
}

const MAX_CONTROLLERS = 20_000
const NOTHING: DeviceFacts = { ownHosts: [], ports: [] }

export function createKnownFacts(): KnownFacts {
  const known = new LRUCache<string, DeviceFacts>({ max: MAX_CONTROLLERS })
  return {
    get: (controllerId) => known.get(controllerId) ?? NOTHING,
    learn({ controllerId, ownHosts, ports }) {
      known.set(controllerId, { ownHosts, ports })
    },
  }
}
