import type { Alert } from '../alert.ts'

export const ringSplit: Alert = {
  name: 'RingSplit',
  severity: 'critical',
  for: '2m',
  threshold: 1,
  thresholdMeaning: 'different rings',
  expr: ({ threshold, select }) =>
    `count by (namespace, job) (count_values by (namespace, job) ("ring", ${select('wmoc_gateway_ring_fingerprint')})) > ${threshold}`,
  summary: 'Gateway shards disagree about who belongs to the ring.',
  description: 'The shards of {{ $labels.job }} in {{ $labels.namespace }} see {{ $value }} different rings.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_ring_fingerprint{namespace="w",job="gateway",instance="a"}': '11x20',
        'wmoc_gateway_ring_fingerprint{namespace="w",job="gateway",instance="b"}': '11x4 12x16',
      },
      at: '10m',
      labels: { namespace: 'w', job: 'gateway' },
      description: 'The shards of gateway in w see 2 different rings.',
    },
    silent: {
      series: {
        'wmoc_gateway_ring_fingerprint{namespace="w",job="gateway",instance="a"}': '11x4 12x16',
        'wmoc_gateway_ring_fingerprint{namespace="w",job="gateway",instance="b"}': '11x5 12x16',
        'wmoc_gateway_ring_fingerprint{namespace="other",job="gateway",instance="c"}': '13x20',
      },
      at: '10m',
    },
  },
}
