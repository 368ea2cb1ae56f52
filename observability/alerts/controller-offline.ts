import type { Alert } from '../alert.ts'

export const controllerOffline: Alert = {
  name: 'ControllerOffline',
  severity: 'warning',
  for: '5m',
  threshold: 0,
  thresholdMeaning: 'controllers',
  expr: ({ threshold, select }) =>
    `max by (namespace) (${select('wmoc_api_controllers_offline', 'duration="hours"')}) > ${threshold}`,
  summary: 'Controllers that were online today are away.',
  description:
    '{{ $value }} controllers in {{ $labels.namespace }} have been away for more than ten minutes and less than a day.',
  tests: {
    firing: {
      series: {
        'wmoc_api_controllers_offline{namespace="w",job="worker",duration="hours"}': '0 2x20',
      },
      at: '10m',
      labels: { namespace: 'w' },
      description: '2 controllers in w have been away for more than ten minutes and less than a day.',
    },
    silent: {
      series: {
        'wmoc_api_controllers_offline{namespace="w",job="worker",duration="hours"}': '0x20',
        'wmoc_api_controllers_offline{namespace="w",job="worker",duration="minutes"}': '7x20',
        'wmoc_api_controllers_offline{namespace="w",job="worker",duration="days"}': '9x20',
      },
      at: '10m',
    },
  },
}
