import type { Alert } from '../alert.ts'

export const backupMissing: Alert = {
  name: 'BackupMissing',
  severity: 'critical',
  for: '10m',
  threshold: 26,
  thresholdMeaning: 'hours since the last good backup',
  expr: ({ threshold, select }) => {
    const ofCronJobs = (metric: string) =>
      `max by (namespace) (${select(metric, 'cronjob=~".*wmoc.*-backup"')})`
    const known = [
      `max by (namespace) (${select('wmoc_backup_last_success_timestamp_seconds')})`,
      ofCronJobs('kube_cronjob_status_last_successful_time'),
      ofCronJobs('kube_cronjob_created'),
    ]
    return `(time() - (${known.join(' or ')})) / 3600 > ${threshold}`
  },
  summary: 'There is no recent backup of the database.',
  description: 'The last good backup in {{ $labels.namespace }} was {{ $value | humanize }} hours ago.',
  tests: {
    firing: {
      series: {
        'wmoc_backup_last_success_timestamp_seconds{namespace="w",job="worker",instance="a"}': '3600x60',
        'kube_cronjob_created{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}': '0x60',
        'kube_cronjob_status_last_successful_time{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}':
          '3600x30 86400x30',
      },
      interval: '30m',
      at: '1680m',
      labels: { namespace: 'w' },
      description: 'The last good backup in w was 27 hours ago.',
    },
    silent: {
      series: {
        'wmoc_backup_last_success_timestamp_seconds{namespace="w",job="worker",instance="a"}':
          '3600x30 86400x30',
        'kube_cronjob_created{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}': '0x60',
        'kube_cronjob_created{namespace="v",job="kube-state-metrics",cronjob="wmoc-backup"}': '0x60',
        'kube_cronjob_status_last_successful_time{namespace="v",job="kube-state-metrics",cronjob="wmoc-backup"}':
          '3600x30 86400x30',
        'kube_cronjob_created{namespace="w",job="kube-state-metrics",cronjob="other"}': '0x60',
      },
      interval: '30m',
      at: '1680m',
    },
  },
}
