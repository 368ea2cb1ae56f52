/** What an AlertPolicy may say: the source of its resource definition and of the operator's own check of it. */
import { ALERT_NAMES } from '@wmoc/observability/alert-names'
import { RUNBOOK_BASE_URL } from '@wmoc/observability/alert'
import { z } from 'zod'
import { defineCrd } from '#src/crds/definition.ts'
import { cel, conditions, describe, duration, int32, listMap, observedGeneration } from '#src/crds/fields.ts'
import type { Condition } from '#src/runtime/conditions.ts'
import { resource } from '#src/runtime/objects.ts'

const severity = z.enum(['critical', 'warning', 'info'])

const preset = z.object({
  name: describe(z.enum(ALERT_NAMES), 'An alert that comes with the platform.'),
  enabled: z.boolean().default(true),
  severity: severity.optional(),
  for: describe(duration('any').optional(), 'How long it must hold before it fires.'),
  threshold: describe(
    z
      .string()
      .max(30)
      .regex(/^-?[0-9]+(\.[0-9]+)?$/)
      .optional(),
    'What the alert compares with, in the unit that its runbook tells.',
  ),
})

const rule = cel(
  z.object({
    alert: cel(
      z.string().regex(/^[A-Z][A-Za-z0-9]{2,99}$/),
      "!self.startsWith('WMOC')",
      'names that begin with WMOC are those of presets',
      (name) => !name.startsWith('WMOC'),
    ),
    expr: describe(z.string().min(1).max(4_096), 'PromQL; a bad one is refused by name, the others stay.'),
    for: duration('any').default('5m'),
    severity: severity.default('warning'),
    summary: z.string().max(512).optional(),
    description: z.string().max(4_096).optional(),
    runbookURL: z
      .string()
      .max(2_048)
      .regex(/^https?:\/\/[^\s]+$/)
      .optional(),
  }),
  "self.severity != 'critical' || has(self.summary)",
  'a critical rule needs a summary: somebody is woken by it',
  (value) => value.severity !== 'critical' || value.summary !== undefined,
)

const labels = cel(
  z.record(
    z.string().max(317),
    z
      .string()
      .max(63)
      .regex(/^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$/),
  ),
  "!self.exists(key, key.startsWith('app.kubernetes.io/'))",
  'ruleLabels must not set app.kubernetes.io labels: the operator sets them',
  (value) => !Object.keys(value).some((key) => key.startsWith('app.kubernetes.io/')),
)

export const AlertPolicySpec = cel(
  z.object({
    gatewayRef: describe(
      z.object({ name: z.string().min(1).max(253) }).optional(),
      'Presets watch only the installation of this TunnelGateway: the series of this namespace.',
    ),
    presets: listMap(preset, 'name', 32).optional(),
    rules: listMap(rule, 'alert', 64).optional(),
    recordingRules: describe(
      z.boolean().default(true),
      'Whether the recording rules that presets read come along; off where others bring them, as a series recorded twice is an error of Prometheus.',
    ),
    runbookBaseURL: cel(
      z
        .string()
        .max(2_048)
        .regex(/^https?:\/\/[^\s]+$/)
        .default(RUNBOOK_BASE_URL),
      "self.endsWith('/')",
      'runbookBaseURL must end with a slash: the name of the alert follows it',
      (url) => url.endsWith('/'),
    ),
    ruleLabels: describe(
      labels.optional(),
      'Labels of the PrometheusRule by which Prometheus finds it, e.g. release: kube-prometheus-stack.',
    ),
  }),
  '(has(self.presets) && size(self.presets) > 0) || (has(self.rules) && size(self.rules) > 0)',
  'at least one preset or rule is required',
  ({ presets, rules }) => (presets?.length ?? 0) + (rules?.length ?? 0) > 0,
)
export type AlertPolicySpec = z.output<typeof AlertPolicySpec>

const AlertPolicyStatus = z.object({
  observedGeneration: observedGeneration(),
  rules: describe(int32(0, 1_000).optional(), 'Alerting rules in place.'),
  rejected: describe(int32(0, 1_000).optional(), 'Rules that were refused.'),
  rejectedRules: listMap(
    z.object({ alert: z.string().max(100), problem: z.string().max(1_024) }),
    'alert',
    64,
  ).optional(),
  prometheusRule: describe(
    z.string().max(253).optional(),
    'Name of the PrometheusRule, where that API exists.',
  ),
  configMap: describe(
    z.string().max(253).optional(),
    'Name of the ConfigMap with rules.yaml, where it does not.',
  ),
  conditions: conditions().optional(),
})
export type AlertPolicyStatus = Omit<z.output<typeof AlertPolicyStatus>, 'conditions'> & {
  readonly conditions?: readonly Condition[]
}

export interface AlertPolicy {
  readonly spec: AlertPolicySpec
  readonly status?: AlertPolicyStatus
}

export const AlertPolicies = resource<AlertPolicy>('wmoc.online/v1alpha1', 'AlertPolicy', 'alertpolicies')

export const crd = defineCrd({
  group: 'wmoc.online',
  version: 'v1alpha1',
  kind: 'AlertPolicy',
  plural: 'alertpolicies',
  singular: 'alertpolicy',
  shortNames: ['alp'],
  categories: ['wmoc'],
  description: 'Alerts of an installation: presets of the platform and rules of one’s own.',
  spec: AlertPolicySpec,
  status: AlertPolicyStatus,
  columns: [
    { name: 'Rules', type: 'integer', jsonPath: '.status.rules' },
    { name: 'Rejected', type: 'integer', jsonPath: '.status.rejected' },
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      priority: 1,
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
})
