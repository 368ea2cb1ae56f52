import type { Alert } from '../alert.ts'

export const shardDown: Alert = {
  name: 'ShardDown',
  severity: 'critical',
  for: '2m',
  threshold: 0,
  thresholdMeaning: 'shards',
  expr: ({ threshold, select }) =>
    `count by (namespace, job) (${select('up')} == 0 and on (namespace, job, instance) count_over_time(${select('wmoc_gateway_ring_members')}[6h])) > ${threshold}`,
  summary: 'A gateway shard does not answer.',
  description:
    '{{ $value }} shards of {{ $labels.job }} in {{ $labels.namespace }} do not answer the scrape of their metrics.',
  tests: {
    firing: {
      series: {
        'up{namespace="w",job="gateway",instance="a"}': '1x5 0x20',
        'up{namespace="w",job="gateway",instance="b"}': '1x25',
        'wmoc_gateway_ring_members{namespace="w",job="gateway",instance="a"}': '2x5 stale',
        'wmoc_gateway_ring_members{namespace="w",job="gateway",instance="b"}': '2x25',
      },
      at: '15m',
      labels: { namespace: 'w', job: 'gateway' },
      description: '1 shards of gateway in w do not answer the scrape of their metrics.',
    },
    silent: {
      series: {
        'up{namespace="w",job="gateway",instance="a"}': '1x25',
        'wmoc_gateway_ring_members{namespace="w",job="gateway",instance="a"}': '1x25',
        'up{namespace="w",job="other",instance="c"}': '0x25',
      },
      at: '15m',
    },
  },
}
