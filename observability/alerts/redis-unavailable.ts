import type { Alert } from '../alert.ts'

export const redisUnavailable: Alert = {
  name: 'RedisUnavailable',
  severity: 'critical',
  for: '1m',
  threshold: 1,
  thresholdMeaning: 'least of the answers, 1 for reached',
  expr: ({ threshold, select }) =>
    `min by (namespace, job) (${select('wmoc_gateway_dependency_up', 'dependency="store"')} or ${select('wmoc_api_dependency_up', 'dependency="store"')}) < ${threshold}`,
  summary: 'Redis can’t be reached.',
  description: 'Processes of {{ $labels.job }} in {{ $labels.namespace }} can’t reach Redis.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_dependency_up{namespace="w",job="gateway",instance="a",dependency="store"}': '1x5 0x20',
      },
      at: '10m',
      labels: { namespace: 'w', job: 'gateway' },
      description: 'Processes of gateway in w can’t reach Redis.',
    },
    silent: {
      series: {
        'wmoc_gateway_dependency_up{namespace="w",job="gateway",instance="a",dependency="api"}': '0x25',
        'wmoc_gateway_dependency_up{namespace="w",job="gateway",instance="a",dependency="store"}': '1x25',
      },
      at: '10m',
    },
  },
}
