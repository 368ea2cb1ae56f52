import type { Alert } from '../alert.ts'

export const controllerFlapping: Alert = {
  name: 'ControllerFlapping',
  severity: 'warning',
  for: '5m',
  threshold: 3,
  thresholdMeaning: 'refused registrations in 15 minutes',
  expr: ({ threshold, select }) =>
    `sum by (namespace, job) (increase(${select('wmoc_gateway_register_failures_total', 'reason=~"credential_conflict|quarantined"')}[15m])) > ${threshold}`,
  summary: 'A controller reconnects again and again, or two devices use one credential.',
  description:
    '{{ $value | humanize }} registrations were refused within 15 minutes because two devices fought over one credential, or one came back too often.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_register_failures_total{namespace="w",job="gateway",reason="quarantined"}': '0+1x40',
      },
      at: '30m',
      labels: { namespace: 'w', job: 'gateway' },
      description:
        '15 registrations were refused within 15 minutes because two devices fought over one credential, or one came back too often.',
    },
    silent: {
      series: {
        'wmoc_gateway_register_failures_total{namespace="w",job="gateway",reason="unauthorized"}': '0+1x40',
        'wmoc_gateway_register_failures_total{namespace="w",job="gateway",reason="quarantined"}': '5x40',
      },
      at: '30m',
    },
  },
}
