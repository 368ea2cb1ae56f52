import type { DashboardSpec } from '../dashboard.ts'
import { ON } from '../dashboard.ts'

export const operator: DashboardSpec = {
  name: 'operator',
  title: 'Operator',
  description: 'Whether what was asked of the cluster is done, and what that costs the API server.',
  metric: 'wmoc_operator_leader',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Leaders',
          description: 'Exactly one. None: nothing is reconciled.',
          unit: 'short',
          queries: { leaders: `sum(wmoc_operator_leader{${ON}})` },
        },
        {
          kind: 'stat',
          title: 'Failing objects',
          description: 'Objects whose last reconciliation failed.',
          unit: 'short',
          queries: { failing: `sum(wmoc_operator_failing_objects{${ON}})` },
        },
      ],
    },
    {
      title: 'Reconciliations',
      panels: [
        {
          title: 'By result',
          description: 'conflict: something else wrote the object meanwhile; it is tried again.',
          unit: 'ops',
          queries: {
            '{{kind}} {{result}}': `sum by (kind, result) (rate(wmoc_operator_reconcile_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Duration',
          description: 'Nineteen of twenty take less.',
          unit: 's',
          queries: {
            '{{kind}}': `histogram_quantile(0.95, sum by (kind, le) (rate(wmoc_operator_reconcile_duration_seconds_bucket{${ON}}[$__rate_interval])))`,
          },
        },
        {
          title: 'Waiting',
          description: 'Objects that wait for their turn.',
          unit: 'short',
          queries: { '{{kind}}': `sum by (kind) (wmoc_operator_queue_depth{${ON}})` },
        },
      ],
    },
    {
      title: 'API server',
      panels: [
        {
          title: 'Requests',
          description: 'By status; error: no answer.',
          unit: 'reqps',
          isStacked: true,
          queries: {
            '{{verb}} {{code}}': `sum by (verb, code) (rate(wmoc_operator_api_requests_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Complete lists',
          description: 'More than a few tell that watches do not last.',
          unit: 'ops',
          queries: {
            '{{kind}}': `sum by (kind) (rate(wmoc_operator_informer_lists_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Objects in the local copy',
          description: 'What the operator watches.',
          unit: 'short',
          queries: { '{{kind}}': `max by (kind) (wmoc_operator_informer_objects{${ON}})` },
        },
      ],
    },
  ],
}
