import type { Alert } from '../alert.ts'

export const rolloutStuck: Alert = {
  name: 'RolloutStuck',
  severity: 'warning',
  for: '1h',
  threshold: 1,
  thresholdMeaning: 'versions',
  expr: ({ threshold, select }) =>
    `count by (namespace, job) (count by (namespace, job, version) (${select('wmoc_build_info', 'component="gateway"')})) > ${threshold}`,
  summary: 'A rollout of the gateway does not come to an end.',
  description: 'The shards of {{ $labels.job }} in {{ $labels.namespace }} run {{ $value }} versions.',
  tests: {
    firing: {
      series: {
        'wmoc_build_info{namespace="w",job="gateway",instance="a",component="gateway",version="1.0.0"}':
          '1x100',
        'wmoc_build_info{namespace="w",job="gateway",instance="b",component="gateway",version="1.1.0"}':
          '1x100',
      },
      at: '80m',
      labels: { namespace: 'w', job: 'gateway' },
      description: 'The shards of gateway in w run 2 versions.',
    },
    silent: {
      series: {
        'wmoc_build_info{namespace="w",job="gateway",instance="a",component="gateway",version="1.0.0"}':
          '1x30 stale',
        'wmoc_build_info{namespace="w",job="gateway",instance="b",component="gateway",version="1.1.0"}':
          '1x100',
        'wmoc_build_info{namespace="w",job="gateway",instance="a",component="gateway",version="1.1.0"}':
          '_x30 1x70',
      },
      at: '80m',
    },
  },
}
