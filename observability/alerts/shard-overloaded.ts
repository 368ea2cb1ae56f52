import type { Alert } from '../alert.ts'

export const shardOverloaded: Alert = {
  name: 'ShardOverloaded',
  severity: 'warning',
  for: '5m',
  threshold: 0.25,
  thresholdMeaning: 'seconds of event loop delay at the 99th percentile',
  expr: ({ threshold, select }) =>
    `max by (namespace, job, instance) (${select('nodejs_eventloop_lag_p99_seconds')}) > ${threshold} and on (namespace, job, instance) ${select('wmoc_gateway_ring_members')} or sum by (namespace, job, instance) (rate(${select('wmoc_gateway_proxy_requests_total', 'outcome="shed"')}[5m])) > 0`,
  summary: 'A gateway shard has more to do than it can.',
  description:
    'Shard {{ $labels.instance }} of {{ $labels.job }} in {{ $labels.namespace }} answers late, or turns requests away for want of memory.',
  tests: {
    firing: {
      series: {
        'nodejs_eventloop_lag_p99_seconds{namespace="w",job="gateway",instance="a"}': '0.01x5 0.4x20',
        'wmoc_gateway_ring_members{namespace="w",job="gateway",instance="a"}': '2x25',
      },
      at: '15m',
      labels: { namespace: 'w', job: 'gateway', instance: 'a' },
      description: 'Shard a of gateway in w answers late, or turns requests away for want of memory.',
    },
    silent: {
      series: {
        'nodejs_eventloop_lag_p99_seconds{namespace="w",job="api",instance="b"}': '0.4x25',
        'nodejs_eventloop_lag_p99_seconds{namespace="w",job="gateway",instance="a"}': '0.01x25',
        'wmoc_gateway_ring_members{namespace="w",job="gateway",instance="a"}': '2x25',
      },
      at: '15m',
    },
  },
}
