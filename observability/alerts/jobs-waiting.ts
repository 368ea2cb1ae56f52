import type { Alert } from '../alert.ts'

export const jobsWaiting: Alert = {
  name: 'JobsWaiting',
  severity: 'warning',
  for: '5m',
  threshold: 300,
  thresholdMeaning: 'seconds that the oldest job has been due',
  expr: ({ threshold, select }) =>
    `max by (namespace) (${select('wmoc_api_jobs_oldest_due_seconds')}) > ${threshold}`,
  summary: 'Background jobs are not taken up.',
  description: 'The oldest job in {{ $labels.namespace }} has been due for {{ $value | humanizeDuration }}.',
  tests: {
    firing: {
      series: {
        'wmoc_api_jobs_oldest_due_seconds{namespace="w",job="api"}': '0+60x40',
      },
      at: '20m',
      labels: { namespace: 'w' },
      description: 'The oldest job in w has been due for 20m 0s.',
    },
    silent: {
      series: {
        'wmoc_api_jobs_oldest_due_seconds{namespace="w",job="api"}': '0 60 120 290 0 60 120 0x40',
      },
      at: '20m',
    },
  },
}
