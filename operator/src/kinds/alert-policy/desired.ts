/** The objects that carry a policy's rules. Pure. */
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts'
import { stringify } from 'yaml'
import { ownerReference } from '#src/runtime/metadata.ts'
import type { Sent, Stored } from '#src/runtime/objects.ts'
import type { RulePlan } from './plan.ts'
import type { AlertPolicy } from './schema.ts'

/** Found by whoever mounts ConfigMaps of rules where there is no Prometheus operator. */
export const RULES_LABEL = 'wmoc.online/rules'

const LABELS = { 'app.kubernetes.io/name': 'alert-policy', 'app.kubernetes.io/managed-by': 'wmoc-operator' }

/** Selects what is made here. */
export const OURS = Object.entries(LABELS)
  .map(([name, value]) => `${name}=${value}`)
  .join(',')

/** For Prometheus' own operator. */
export function prometheusRule(policy: Stored<AlertPolicy>, plan: RulePlan): Sent<{ spec: unknown }> {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: metadataOf(policy, policy.spec.ruleLabels ?? {}),
    spec: { groups: groupsOf(policy, plan) },
  }
}

/** `rules.yaml` for a Prometheus that reads files. */
export function rulesConfigMap(policy: Stored<AlertPolicy>, plan: RulePlan): Sent<ConfigMap> {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(policy, { ...policy.spec.ruleLabels, [RULES_LABEL]: 'true' }),
    data: { 'rules.yaml': stringify({ groups: groupsOf(policy, plan) }, { lineWidth: 0 }) },
  }
}

function metadataOf(policy: Stored<AlertPolicy>, labels: Readonly<Record<string, string>>) {
  const { name, namespace } = policy.metadata
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: { ...labels, ...LABELS },
    ownerReferences: [ownerReference(policy)],
  }
}

/** Group names are unique over all files that one Prometheus reads. */
function groupsOf(policy: Stored<AlertPolicy>, { alerting, recording }: RulePlan) {
  const prefix = `wmoc.${policy.metadata.namespace}.${policy.metadata.name}`
  return [
    ...(recording.length > 0 ? [{ name: `${prefix}.recording`, rules: recording }] : []),
    ...(alerting.length > 0 ? [{ name: `${prefix}.alerts`, rules: alerting }] : []),
  ]
}
