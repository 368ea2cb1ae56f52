/** What the rewriter has to know of a device: its own addresses, and its other ports. */
import { LRUCache } from 'lru-cache'
import type { Router, Upstream } from '#src/core/upstream.ts'

export type DeviceFacts = Pick<Upstream, 'ownHosts' | 'ports'>

export interface KnownFacts {
  /** As they are now, where the tunnel is at hand; else as they were last. */
  now(controllerId: string): DeviceFacts
  last(controllerId: string): DeviceFacts
}

const MAX_CONTROLLERS = 20_000
const NOTHING: DeviceFacts = { ownHosts: [], ports: [] }

export function createKnownFacts(router: Pick<Router, 'locate'>): KnownFacts {
  const known = new LRUCache<string, DeviceFacts>({ max: MAX_CONTROLLERS })
  const last = (controllerId: string) => known.get(controllerId) ?? NOTHING
  return {
    last,
    now(controllerId) {
      const upstream = router.locate(controllerId)
      if (upstream instanceof Promise) {
        // An answer that was kept, of a device that is away: nobody waits for it.
        upstream.catch(() => undefined)
        return last(controllerId)
      }
      if (upstream === undefined) return last(controllerId)
      const facts = { ownHosts: upstream.ownHosts, ports: upstream.ports }
      known.set(controllerId, facts)
      return facts
    },
  }
}
