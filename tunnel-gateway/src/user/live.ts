/** What goes on between users and devices right now: counted, bounded, and ended when its permission is gone. */
import type { Principal } from './principal.ts'

/** A request, an event stream or a WebSocket that is under way. */
export interface LiveEntry {
  readonly principal: Principal
  readonly controllerId: string
  /** What one must be allowed for it to go on. */
  readonly needs: 'GET' | 'WEBSOCKET'
  /** Its permission is gone. */
  revoke(): void
  /** The shard leaves: what has no end of its own ends now, cleanly; the rest goes on. */
  leave(): void
}

export interface LiveRequests {
  /** False: this user or this controller has as much under way as one may have. */
  enter(entry: LiveEntry): boolean
  left(entry: LiveEntry): void
  all(): Iterable<LiveEntry>
  readonly size: number
}

/** @param limits How much one user, and one controller, may have under way on this shard. */
export function createLiveRequests(limits: { perUser: number; perController: number }): LiveRequests {
  const entries = new Set<LiveEntry>()
  const users = new Map<string, number>()
  const controllers = new Map<string, number>()
  return {
    enter(entry) {
      const ofUser = users.get(entry.principal.userId) ?? 0
      const ofController = controllers.get(entry.controllerId) ?? 0
      if (ofUser >= limits.perUser || ofController >= limits.perController) return false
      users.set(entry.principal.userId, ofUser + 1)
      controllers.set(entry.controllerId, ofController + 1)
      entries.add(entry)
      return true
    },
    left(entry) {
      if (!entries.delete(entry)) return
      decrease(users, entry.principal.userId)
      decrease(controllers, entry.controllerId)
    },
    all: () => entries,
    get size() {
      return entries.size
    },
  }
}

function decrease(counts: Map<string, number>, key: string): void {
  const count = counts.get(key)! - 1
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}
