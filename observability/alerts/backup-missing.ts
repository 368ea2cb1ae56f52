import type { Alert } from '../alert.ts'

export const backupMissing: Alert = {
  name: 'BackupMissing',
  severity: 'critical',
  for: '10m',
  threshold: 26,
  thresholdMeaning: 'hours since the last good backup',
  expr: ({ threshold, select }) =>
    `(time() - max by (namespace, cronjob) (${select('kube_cronjob_status_last_successful_time', 'cronjob=~".*wmoc.*-backup"')} or ${select('kube_cronjob_created', 'cronjob=~".*wmoc.*-backup"')})) / 3600 > ${threshold}`,
  summary: 'There is no recent backup of the database.',
  description:
    'The last good run of {{ $labels.cronjob }} in {{ $labels.namespace }} was {{ $value | humanize }} hours ago.',
  tests: {
    firing: {
      series: {
        'kube_cronjob_created{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}': '0x60',
        'kube_cronjob_status_last_successful_time{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}':
          '3600x60',
      },
      interval: '30m',
      at: '1680m',
      labels: { namespace: 'w', cronjob: 'wmoc-backup' },
      description: 'The last good run of wmoc-backup in w was 27 hours ago.',
    },
    silent: {
      series: {
        'kube_cronjob_created{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}': '0x60',
        'kube_cronjob_status_last_successful_time{namespace="w",job="kube-state-metrics",cronjob="wmoc-backup"}':
          '3600x30 86400x30',
        'kube_cronjob_created{namespace="w",job="kube-state-metrics",cronjob="other"}': '0x60',
      },
      interval: '30m',
      at: '1680m',
    },
  },
}
