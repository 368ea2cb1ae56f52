import type { Alert } from '../alert.ts'

export const operatorReconcileErrors: Alert = {
  name: 'OperatorReconcileErrors',
  severity: 'warning',
  for: '10m',
  threshold: 0.5,
  thresholdMeaning: 'share of reconciliations',
  expr: ({ threshold, select }) =>
    `sum by (namespace, kind) (rate(${select('wmoc_operator_reconcile_total', 'result="error"')}[10m])) / sum by (namespace, kind) (rate(${select('wmoc_operator_reconcile_total')}[10m])) > ${threshold}`,
  summary: 'The operator can’t bring the cluster to what was asked of it.',
  description: '{{ $value | humanizePercentage }} of reconciliations of {{ $labels.kind }} fail.',
  tests: {
    firing: {
      series: {
        'wmoc_operator_reconcile_total{namespace="w",job="operator",kind="TunnelGateway",result="error"}':
          '0+3x60',
        'wmoc_operator_reconcile_total{namespace="w",job="operator",kind="TunnelGateway",result="success"}':
          '0+1x60',
      },
      at: '40m',
      labels: { namespace: 'w', kind: 'TunnelGateway' },
      description: '75% of reconciliations of TunnelGateway fail.',
    },
    silent: {
      series: {
        'wmoc_operator_reconcile_total{namespace="w",job="operator",kind="TunnelGateway",result="error"}':
          '0+1x60',
        'wmoc_operator_reconcile_total{namespace="w",job="operator",kind="TunnelGateway",result="success"}':
          '0+9x60',
      },
      at: '40m',
    },
  },
}
