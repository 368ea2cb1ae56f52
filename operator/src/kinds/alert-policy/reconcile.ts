/** One step towards what an AlertPolicy says: observe, plan, apply, status. */
import type { KubeClient } from '#src/runtime/client.ts'
import type { ControllerDefinition, ReconcileContext } from '#src/runtime/controller.ts'
import { timestamp } from '#src/runtime/conditions.ts'
import { canonical, controllerOf, isDeleting } from '#src/runtime/metadata.ts'
import type { Ref, Stored } from '#src/runtime/objects.ts'
import { ConfigMaps, PrometheusRules } from '#src/runtime/resources.ts'
import { OURS, prometheusRule, rulesConfigMap } from './desired.ts'
import { planRules } from './plan.ts'
import type { RulePlan } from './plan.ts'
import { AlertPolicies } from './schema.ts'
import type { AlertPolicy } from './schema.ts'
import { eventsOf, statusOf } from './status.ts'
import type { Place } from './status.ts'

/** How soon a ConfigMap that somebody changed by hand is set right, and a PrometheusRule API that comes later is found. */
const RESYNC_MS = 300_000

export function createAlertPolicyController(): ControllerDefinition<AlertPolicy> {
  return {
    kind: AlertPolicies,
    watches: [{ kind: PrometheusRules, labelSelector: OURS, isOptional: true }],
    reconcile,
    resyncMs: RESYNC_MS,
  }
}

async function reconcile(ref: Ref, context: ReconcileContext<AlertPolicy>): Promise<void> {
  const { object: policy, client, events, now } = context
  if (policy === null || isDeleting(policy)) return
  const place = await observe(ref, policy, client)
  const plan = planRules(policy.spec, ref.namespace)
  if (!place.isTaken) await apply(ref, policy, place, plan, client)
  for (const event of eventsOf(policy, plan)) events.record(policy, event)
  const status = statusOf(policy, plan, place, timestamp(now()))
  if (canonical(status) !== canonical(policy.status)) await client.patchStatus(AlertPolicies, ref, status)
}

async function observe(ref: Ref, policy: Stored<AlertPolicy>, client: KubeClient): Promise<Place> {
  const hasApi = await client.serves(PrometheusRules)
  const found = hasApi ? await client.get(PrometheusRules, ref) : await client.get(ConfigMaps, ref)
  return {
    kind: hasApi ? 'PrometheusRule' : 'ConfigMap',
    isTaken: found !== null && !isOwn(policy, found),
  }
}

async function apply(
  ref: Ref,
  policy: Stored<AlertPolicy>,
  place: Place,
  plan: RulePlan,
  client: KubeClient,
): Promise<void> {
  if (place.kind === 'ConfigMap') {
    await client.apply(ConfigMaps, rulesConfigMap(policy, plan))
    return
  }
  await client.apply(PrometheusRules, prometheusRule(policy, plan))
  // From the time before the cluster had that API.
  const old = await client.get(ConfigMaps, ref)
  if (old !== null && isOwn(policy, old)) await client.delete(ConfigMaps, ref, { uid: old.metadata.uid })
}

function isOwn(policy: Stored<AlertPolicy>, object: Stored): boolean {
  return controllerOf(object)?.uid === policy.metadata.uid
}
