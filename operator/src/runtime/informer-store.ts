/** The objects of an informer with an index by owner; tells what changed. No I/O. */
import { controllerOf } from './metadata.ts'
import { keyOf } from './objects.ts'
import type { Ref, Stored } from './objects.ts'

export type Change<T> =
  | { readonly type: 'added'; readonly object: Stored<T> }
  | { readonly type: 'updated'; readonly object: Stored<T>; readonly previous: Stored<T> }
  /** The last that was known of it; it may have changed between. */
  | { readonly type: 'deleted'; readonly object: Stored<T> }

export interface Store<T> {
  get(ref: Ref): Stored<T> | undefined
  list(namespace?: string): readonly Stored<T>[]
  ownedBy(uid: string): readonly Stored<T>[]
  put(object: Stored<T>): void
  remove(key: string, last?: Stored<T>): void
  /** All that there is in a namespace, or altogether where it is empty. */
  replace(namespace: string, objects: readonly Stored<T>[]): void
  onChange(handler: (change: Change<T>) => void): () => void
}

/** An empty store. @param onError Gets what a handler throws; the others are called all the same. */
export function createStore<T>(onError: (error: unknown) => void): Store<T> {
  const objects = new Map<string, Stored<T>>()
  const owned = new Map<string, Set<string>>()
  const handlers = new Set<(change: Change<T>) => void>()

  function tell(handler: (change: Change<T>) => void, change: Change<T>): void {
    try {
      handler(change)
    } catch (error) {
      onError(error)
    }
  }

  function index(key: string, object: Stored<T>, isThere: boolean): void {
    const uid = controllerOf(object)?.uid
    if (uid === undefined) return
    const keys = owned.get(uid) ?? new Set()
    if (isThere) keys.add(key)
    else keys.delete(key)
    if (keys.size === 0) owned.delete(uid)
    else owned.set(uid, keys)
  }

  function put(received: Stored<T>): void {
    const object = slim(received)
    const key = keyOf(object)
    const previous = objects.get(key)
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return
    // Deleted and made again while nobody looked: two changes, not one.
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) remove(key)
    else if (previous !== undefined) index(key, previous, false)
    objects.set(key, object)
    index(key, object, true)
    const change: Change<T> =
      previous !== undefined && previous.metadata.uid === object.metadata.uid
        ? { type: 'updated', object, previous }
        : { type: 'added', object }
    for (const handler of handlers) tell(handler, change)
  }

  function remove(key: string, last?: Stored<T>): void {
    const known = objects.get(key)
    if (known === undefined) return
    objects.delete(key)
    index(key, known, false)
    const object =
      last === undefined ? known : slim<T>({ ...last, apiVersion: known.apiVersion, kind: known.kind })
    for (const handler of handlers) tell(handler, { type: 'deleted', object })
  }

  return {
    get: (ref) => objects.get(keyOf(ref)),
    list: (namespace) =>
      namespace === undefined
        ? [...objects.values()]
        : [...objects.values()].filter((object) => (object.metadata.namespace ?? '') === namespace),
    ownedBy: (uid) => [...(owned.get(uid) ?? [])].map((key) => objects.get(key)!),
    put,
    remove,
    replace(namespace, present) {
      const keys = new Set(present.map((object) => keyOf(object)))
      for (const [key, object] of objects) {
        const isInside = namespace === '' || object.metadata.namespace === namespace
        if (isInside && !keys.has(key)) remove(key)
      }
      for (const object of present) put(object)
    },
    onChange(handler) {
      for (const object of objects.values()) tell(handler, { type: 'added', object })
      handlers.add(handler)
      return () => void handlers.delete(handler)
    },
  }
}

/** Who set which field is the half of an object, and nobody reads it here. */
function slim<T>(object: Stored<T>): Stored<T> {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}
