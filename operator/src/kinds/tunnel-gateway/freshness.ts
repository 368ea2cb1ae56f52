/**
 * Whether the cache has caught up with our own last writes. A decision from an older view could begin a second thing
 * beside the first; a new leader has no writes behind it and a view that is younger than its lease.
 */
import type { ReconcileContext } from '#src/runtime/controller.ts'
import { keyOf, refOf } from '#src/runtime/objects.ts'
import type { Ref, Resource, Stored } from '#src/runtime/objects.ts'

export interface Freshness {
  /** @param owner whose decision it was */
  wrote(owner: Ref, kind: Resource, object: Stored): void
  isCurrent(owner: Ref, cache: ReconcileContext<unknown>['cache']): boolean
  forget(owner: Ref): void
}

interface Write {
  readonly kind: Resource
  readonly ref: Ref
  readonly uid: string
  readonly resourceVersion: string
}

/** Knows nothing yet. */
export function createFreshness(): Freshness {
  const writes = new Map<string, Map<string, Write>>()

  return {
    wrote(owner, kind, object) {
      const { uid, resourceVersion } = object.metadata
      const own = writes.get(keyOf(owner)) ?? new Map<string, Write>()
      writes.set(keyOf(owner), own)
      own.set(`${kind.kind} ${keyOf(object)}`, { kind, ref: refOf(object), uid, resourceVersion })
    },
    isCurrent(owner, cache) {
      const own = writes.get(keyOf(owner))
      if (own === undefined) return true
      for (const [key, { kind, ref, uid, resourceVersion }] of own) {
        const seen = cache(kind).get(ref)
        const isSeen = seen !== undefined && seen.metadata.uid === uid
        if (isSeen && isOlder(seen.metadata.resourceVersion, resourceVersion)) return false
        own.delete(key)
      }
      return true
    },
    forget: (owner) => void writes.delete(keyOf(owner)),
  }
}

/** Versions of one object grow as numbers (Kubernetes 1.35 and later say so; before it was so). */
function isOlder(seen: string, written: string): boolean {
  if (!/^\d+$/.test(seen) || !/^\d+$/.test(written)) return false
  return BigInt(seen) < BigInt(written)
}
