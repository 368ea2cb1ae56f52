/** What a policy's status says, and what is worth an Event. Pure. */
import { setCondition } from '#src/runtime/conditions.ts'
import type { ConditionChange } from '#src/runtime/conditions.ts'
import type { EventDetails } from '#src/runtime/events.ts'
import type { Stored } from '#src/runtime/objects.ts'
import type { RulePlan } from './plan.ts'
import type { AlertPolicy, AlertPolicyStatus } from './schema.ts'

/** Where the rules are; `isTaken`: an object of that name belongs to somebody else. */
export interface Place {
  readonly kind: 'PrometheusRule' | 'ConfigMap'
  readonly isTaken: boolean
}

/**
 * Conditions: `Ready` (reasons RulesApplied, NoRules, NameTaken), `Accepted` (AllAccepted, RuleRejected).
 * @param now RFC 3339 in whole seconds
 */
export function statusOf(
  policy: Stored<AlertPolicy>,
  plan: RulePlan,
  place: Place,
  now: string,
): AlertPolicyStatus {
  const generation = policy.metadata.generation ?? 0
  const { name } = policy.metadata
  const conditions = setCondition(
    setCondition(policy.status?.conditions, ready(plan, place), now, generation),
    accepted(plan),
    now,
    generation,
  )
  return {
    observedGeneration: generation,
    rules: place.isTaken ? 0 : plan.alerting.length,
    rejected: plan.rejected.length,
    ...(plan.rejected.length > 0 ? { rejectedRules: [...plan.rejected] } : {}),
    ...(place.kind === 'PrometheusRule' ? { prometheusRule: name } : { configMap: name }),
    conditions,
  }
}

function ready({ alerting, rejected }: RulePlan, place: Place): ConditionChange {
  if (place.isTaken) {
    const message = `A ${place.kind} of this name belongs to somebody else: rename this policy or delete that object.`
    return { type: 'Ready', status: 'False', reason: 'NameTaken', message }
  }
  if (alerting.length > 0) {
    const message =
      place.kind === 'PrometheusRule'
        ? `${count(alerting.length)} in the PrometheusRule of this name.`
        : `${count(alerting.length)} in the ConfigMap of this name: this cluster has no PrometheusRule API, so mount rules.yaml into Prometheus.`
    return { type: 'Ready', status: 'True', reason: 'RulesApplied', message }
  }
  const message =
    rejected.length > 0 ? 'Every rule was refused; see Accepted.' : 'Every preset is switched off.'
  return { type: 'Ready', status: 'False', reason: 'NoRules', message }
}

function accepted({ rejected }: RulePlan): ConditionChange {
  if (rejected.length === 0)
    return { type: 'Accepted', status: 'True', reason: 'AllAccepted', message: 'Every rule is good.' }
  const named = rejected.map(({ alert, problem }) => `${alert}: ${problem}`).join('; ')
  const message = `Refused, while the others are in place: ${named}`.slice(0, 4_000)
  return { type: 'Accepted', status: 'False', reason: 'RuleRejected', message }
}

/** One Event for each rule that is refused and was not before. */
export function eventsOf(policy: Stored<AlertPolicy>, { rejected }: RulePlan): EventDetails[] {
  const known = new Set(policy.status?.rejectedRules?.map(sentenceOf))
  return rejected
    .map(sentenceOf)
    .filter((text) => !known.has(text))
    .map((message) => ({ type: 'Warning', reason: 'InvalidSpec', action: 'Validate', message }))
}

function sentenceOf({ alert, problem }: { alert: string; problem: string }): string {
  return `The rule ${alert} is refused: ${problem}`
}

function count(rules: number): string {
  return rules === 1 ? 'One alert is' : `${rules} alerts are`
}
