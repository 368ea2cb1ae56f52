/** Merges a user's part into a generated object: as people know it from strategic merge patches. Pure. */

type Plain = Readonly<Record<string, unknown>>

const isPlain = (value: unknown): value is Plain =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
const isNamed = (value: unknown): value is Plain & { name: string } =>
  isPlain(value) && typeof value['name'] === 'string'

/** Objects key by key, lists of named things by name, everything else replaced; null removes. */
export function merge<T>(base: T, patch: unknown): T {
  return mergeValue(base, patch) as T
}

function mergeValue(base: unknown, patch: unknown): unknown {
  if (isPlain(base) && isPlain(patch)) return mergeObjects(base, patch)
  if (Array.isArray(base) && Array.isArray(patch) && [...base, ...patch].every(isNamed))
    return mergeNamed(base as { name: string }[], patch as { name: string }[])
  return isPlain(patch) ? mergeObjects({}, patch) : patch
}

function mergeObjects(base: Plain, patch: Plain): Plain {
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergeValue(merged.get(key), value))
  }
  return Object.fromEntries(merged)
}

function mergeNamed(base: readonly { name: string }[], patch: readonly { name: string }[]): unknown[] {
  const merged = new Map<string, unknown>(base.map((item) => [item.name, item]))
  for (const item of patch) merged.set(item.name, mergeValue(merged.get(item.name), item))
  return [...merged.values()]
}

/** Whether everything in `wanted` stands in `actual`, which may say more: defaults, and what others own. */
export function covers(actual: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true
  if (Array.isArray(wanted))
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, at) => covers(actual[at], item))
    )
  if (isPlain(wanted))
    return isPlain(actual) && Object.entries(wanted).every(([key, value]) => covers(actual[key], value))
  return actual === wanted
}
