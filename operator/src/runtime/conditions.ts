/** Conditions as the API conventions want them. */
import type { Condition } from 'kubernetes-types/meta/v1.d.ts'

export type { Condition }

export interface ConditionChange {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  /** CamelCase, documented, stable. */
  readonly reason: string
  /** For people; says what to do. */
  readonly message: string
}

/**
 * `conditions` with `change` in it, sorted by type. `lastTransitionTime` moves only where the status is another than
 * before.
 * @param now ISO 8601, whole seconds
 * @param observedGeneration `metadata.generation` of the object that was looked at
 */
export function setCondition(
  conditions: readonly Condition[] | undefined,
  change: ConditionChange,
  now: string,
  observedGeneration: number,
): Condition[] {
  const before = conditions?.find(({ type }) => type === change.type)
  const lastTransitionTime = before?.status === change.status ? before.lastTransitionTime : now
  const others = (conditions ?? []).filter(({ type }) => type !== change.type)
  return [...others, { ...change, observedGeneration, lastTransitionTime }].toSorted((a, b) =>
    a.type < b.type ? -1 : a.type > b.type ? 1 : 0,
  )
}

/** The condition of a type. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/** Whether the condition of a type is there and `True`. */
export function isConditionTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True'
}

/** A moment as conditions and statuses carry it: RFC 3339 in whole seconds. @param ms since 1970 */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
