/** How many objects of a kind have which condition, for a gauge. Pure. */
import type { Condition } from './conditions.ts'
import type { Resource, Stored } from './objects.ts'

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/**
 * One sample for each condition, status and reason that is there; the reasons are those that our own code sets, so there are
 * few. The labels `object_namespace` and `object` are empty unless `isFew`.
 */
export function conditionCounts(
  { kind }: Resource,
  objects: readonly Stored<{ readonly status?: { readonly conditions?: readonly Condition[] } }>[],
  isFew: boolean,
): readonly Sample[] {
  const counts = new Map<string, { readonly labels: Sample[0]; value: number }>()
  for (const { metadata, status } of objects) {
    const of = {
      object_namespace: isFew ? (metadata.namespace ?? '') : '',
      object: isFew ? metadata.name : '',
    }
    for (const { type, status: is, reason } of status?.conditions ?? []) {
      const key = [type, is, reason, of.object_namespace, of.object].join(' ')
      const entry = counts.get(key)
      if (entry === undefined)
        counts.set(key, { labels: { kind, type, status: is, reason, ...of }, value: 1 })
      else entry.value += 1
    }
  }
  return [...counts.values()].map(({ labels, value }) => [labels, value])
}
