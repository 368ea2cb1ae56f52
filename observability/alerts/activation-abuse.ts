import type { Alert } from '../alert.ts'

export const activationAbuse: Alert = {
  name: 'ActivationAbuse',
  severity: 'warning',
  for: '10m',
  threshold: 1,
  thresholdMeaning: 'refused registrations in a second',
  expr: ({ threshold, select }) =>
    `sum by (namespace, job) (rate(${select('wmoc_gateway_register_failures_total', 'reason=~"unauthorized|activation_refused|token_expired"')}[5m])) > ${threshold}`,
  summary: 'Somebody tries tokens or device secrets.',
  description:
    '{{ $value | humanize }} registrations a second are refused at {{ $labels.job }} in {{ $labels.namespace }} for wrong secrets or tokens.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_register_failures_total{namespace="w",job="gateway",reason="unauthorized"}': '0+120x40',
      },
      at: '30m',
      labels: { namespace: 'w', job: 'gateway' },
      description: '2 registrations a second are refused at gateway in w for wrong secrets or tokens.',
    },
    silent: {
      series: {
        'wmoc_gateway_register_failures_total{namespace="w",job="gateway",reason="try_again_later"}':
          '0+120x40',
        'wmoc_gateway_register_failures_total{namespace="w",job="gateway",reason="unauthorized"}': '0+6x40',
      },
      at: '30m',
    },
  },
}
