/** Owner references, finalizers and hashes: pure functions over objects. */
import { createHash } from 'node:crypto'
import type { OwnerReference } from 'kubernetes-types/meta/v1.d.ts'
import type { KubeClient } from './client.ts'
import { refOf } from './objects.ts'
import type { Resource, Stored } from './objects.ts'

/** The reference that makes `owner` the controller of an object: it goes when the owner goes. */
export function ownerReference(owner: Stored): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

/** The owner of an object that is its controller. */
export function controllerOf(object: {
  metadata?: { ownerReferences?: OwnerReference[] }
}): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find(({ controller }) => controller === true)
}

/** Whether somebody asked for the object to be deleted. */
export function isDeleting(object: Stored): boolean {
  return object.metadata.deletionTimestamp !== undefined
}

export function hasFinalizer(object: Stored, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false
}

/** Puts a finalizer on the object unless it is there; Conflict where the object changed meanwhile. */
export async function addFinalizer<T>(
  client: KubeClient,
  kind: Resource<T>,
  object: Stored<T>,
  finalizer: string,
): Promise<Stored<T>> {
  if (hasFinalizer(object, finalizer)) return object
  return client.merge(kind, refOf(object), {
    metadata: {
      resourceVersion: object.metadata.resourceVersion,
      finalizers: [...(object.metadata.finalizers ?? []), finalizer],
    },
  })
}

/** Takes a finalizer off; Conflict where the object changed meanwhile. */
export async function removeFinalizer<T>(
  client: KubeClient,
  kind: Resource<T>,
  object: Stored<T>,
  finalizer: string,
): Promise<void> {
  if (!hasFinalizer(object, finalizer)) return
  await client.merge(kind, refOf(object), {
    metadata: {
      resourceVersion: object.metadata.resourceVersion,
      finalizers: object.metadata.finalizers!.filter((name) => name !== finalizer),
    },
  })
}

/** Ten characters that are the same for the same content, whatever the order of its keys. Fit for a label. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 10)
}

/** JSON with sorted keys; absent and undefined are the same. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? 'null'
  )
}
