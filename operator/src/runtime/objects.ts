/** What every object of the API looks like, and how a kind of them is addressed. */
import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts'

/** Metadata of an object that the API server has stored. */
export interface StoredMeta extends ObjectMeta {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

/** An object as the API server answers it; `T` is the shape beside the metadata. */
export type Stored<T = unknown> = Omit<T & object, 'metadata' | 'apiVersion' | 'kind'> & {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: StoredMeta
}

/** An object as we send it: complete, or with the fields that we own for a server-side apply. */
export type Sent<T = unknown> = Omit<T & object, 'metadata' | 'apiVersion' | 'kind'> & {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta & { readonly name: string }
}

/** Names one object; `namespace` is empty for what lives outside of namespaces. */
export interface Ref {
  readonly namespace: string
  readonly name: string
}

/** A kind of objects and its address in the API. `T` never exists at run time. */
export interface Resource<T = unknown> {
  /** `v1`, `apps/v1`, `wmoc.online/v1alpha1` */
  readonly apiVersion: string
  readonly kind: string
  /** As in URLs: `statefulsets`. */
  readonly plural: string
  readonly namespaced: boolean
  readonly shape?: T
}

/** Describes a kind. @param options `namespaced` unless it says otherwise. */
export function resource<T>(
  apiVersion: string,
  kind: string,
  plural: string,
  options: { readonly namespaced?: boolean } = {},
): Resource<T> {
  return { apiVersion, kind, plural, namespaced: options.namespaced ?? true }
}

/** `namespace/name`; the key of queues, caches and logs. */
export function keyOf(object: { readonly metadata?: { name?: string; namespace?: string } } | Ref): string {
  const { namespace, name } = refOf(object)
  return namespace === '' ? name : `${namespace}/${name}`
}

/** The name of an object. */
export function refOf(object: { readonly metadata?: { name?: string; namespace?: string } } | Ref): Ref {
  if ('metadata' in object)
    return { namespace: object.metadata?.namespace ?? '', name: object.metadata?.name ?? '' }
  const { namespace, name } = object as Ref
  return { namespace, name }
}

/** The reverse of `keyOf`. */
export function parseKey(key: string): Ref {
  const slash = key.indexOf('/')
  return slash === -1
    ? { namespace: '', name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}
