import type { Alert } from '../alert.ts'

export const databaseUnavailable: Alert = {
  name: 'DatabaseUnavailable',
  severity: 'critical',
  for: '1m',
  threshold: 1,
  thresholdMeaning: 'least of the answers, 1 for reached',
  expr: ({ threshold, select }) =>
    `min by (namespace, job) (${select('wmoc_api_dependency_up', 'dependency="postgres"')}) < ${threshold}`,
  summary: 'The database can’t be reached.',
  description: 'Processes of {{ $labels.job }} in {{ $labels.namespace }} can’t reach Postgres.',
  tests: {
    firing: {
      series: {
        'wmoc_api_dependency_up{namespace="w",job="api",instance="a",dependency="postgres"}': '1x5 0x20',
      },
      at: '10m',
      labels: { namespace: 'w', job: 'api' },
      description: 'Processes of api in w can’t reach Postgres.',
    },
    silent: {
      series: {
        'wmoc_api_dependency_up{namespace="w",job="api",instance="a",dependency="postgres"}': '1x25',
        'wmoc_api_dependency_up{namespace="w",job="api",instance="a",dependency="store"}': '0x25',
      },
      at: '10m',
    },
  },
}
