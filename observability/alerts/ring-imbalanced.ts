import type { Alert } from '../alert.ts'
import { TUNNELS } from '../recording.ts'

export const ringImbalanced: Alert = {
  name: 'RingImbalanced',
  severity: 'warning',
  for: '15m',
  threshold: 2,
  thresholdMeaning: 'times as many tunnels as the average shard',
  expr: ({ threshold, select }) =>
    `max by (namespace, job) (sum by (namespace, job, instance) (${select('wmoc_gateway_tunnels')})) / avg by (namespace, job) (sum by (namespace, job, instance) (${select('wmoc_gateway_tunnels')})) > ${threshold} and ${select(TUNNELS)} > 100`,
  summary: 'One gateway shard holds many more tunnels than the others.',
  description:
    'The fullest shard of {{ $labels.job }} in {{ $labels.namespace }} holds {{ $value | humanize }} times as many tunnels as the average one.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="a",protocol="1"}': '900x40',
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="b",protocol="1"}': '50x40',
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="c",protocol="1"}': '50x40',
      },
      at: '30m',
      labels: { namespace: 'w', job: 'gateway' },
      description: 'The fullest shard of gateway in w holds 2.7 times as many tunnels as the average one.',
    },
    silent: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="a",protocol="1"}': '9x40',
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="b",protocol="1"}': '1x40',
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="c",protocol="1"}': '1x40',
      },
      at: '30m',
    },
  },
}
