/** A local copy of a kind's objects that follows the API server. */
import type { Ref, Stored } from './objects.ts'

/** What an informer knows, to read. Never change an object of it: all share it. */
export interface Cache<T> {
  get(ref: Ref): Stored<T> | undefined
  /** All, or those of a namespace. */
  list(namespace?: string): readonly Stored<T>[]
  /** Those whose controller reference names this uid. */
  ownedBy(uid: string): readonly Stored<T>[]
}
