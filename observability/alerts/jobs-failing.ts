import type { Alert } from '../alert.ts'

export const jobsFailing: Alert = {
  name: 'JobsFailing',
  severity: 'warning',
  for: '5m',
  threshold: 5,
  thresholdMeaning: 'failures of one kind of job in 15 minutes',
  expr: ({ threshold, select }) =>
    `sum by (namespace, task) (increase(${select('wmoc_api_jobs_done_total', 'outcome="failed"')}[15m])) > ${threshold}`,
  summary: 'Background jobs fail.',
  description: 'The job {{ $labels.task }} failed {{ $value | humanize }} times within 15 minutes.',
  tests: {
    firing: {
      series: {
        'wmoc_api_jobs_done_total{namespace="w",job="worker",task="mail.send",outcome="failed"}': '0+1x40',
      },
      at: '30m',
      labels: { namespace: 'w', task: 'mail.send' },
      description: 'The job mail.send failed 15 times within 15 minutes.',
    },
    silent: {
      series: {
        'wmoc_api_jobs_done_total{namespace="w",job="worker",task="mail.send",outcome="done"}': '0+9x40',
        'wmoc_api_jobs_done_total{namespace="w",job="worker",task="mail.send",outcome="failed"}': '3x40',
      },
      at: '30m',
    },
  },
}
