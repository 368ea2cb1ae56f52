/**
 * What a declaration changes of a controller. A declared field is written when it is declared anew; what people change
 * in the portal afterwards stays and is told as drift, so that nobody fights over a name for ever. Pure.
 */

/** The part of a declaration that people can change in the portal, too. */
export interface Declared {
  /** Null: not declared. */
  readonly name: string | null
  readonly tags: readonly string[]
}

export interface Drift {
  readonly field: 'displayName' | 'tags'
  readonly declared: string
  readonly actual: string
}

export interface EnrolmentPlan {
  /** What to write; absent: nothing. */
  readonly name?: string
  readonly tags?: readonly string[]
  readonly drift: readonly Drift[]
}

/**
 * @param applied What was declared when it was last written; null before the first time.
 * @param current The controller's row.
 */
export function planEnrolment(
  declared: Declared,
  applied: Declared | null,
  current: { readonly name: string; readonly tags: readonly string[] },
): EnrolmentPlan {
  const isNameNew = applied === null || applied.name !== declared.name
  const areTagsNew = applied === null || !sameSet(applied.tags, declared.tags)
  const drift: Drift[] = []
  if (declared.name !== null && !isNameNew && declared.name !== current.name)
    drift.push({ field: 'displayName', declared: declared.name, actual: current.name })
  const missing = declared.tags.filter((tag) => !current.tags.includes(tag))
  if (!areTagsNew && missing.length > 0)
    drift.push({ field: 'tags', declared: declared.tags.join(', '), actual: current.tags.join(', ') })
  const kept = current.tags.filter((tag) => !applied?.tags.includes(tag))
  const tags = [...new Set([...kept, ...declared.tags])]
  return {
    ...(declared.name !== null && isNameNew && declared.name !== current.name ? { name: declared.name } : {}),
    ...(areTagsNew && !sameSet(tags, current.tags) ? { tags } : {}),
    drift,
  }
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item))
}
