import type { Alert } from '../alert.ts'
import { TUNNELS } from '../recording.ts'

export const fleetOffline: Alert = {
  name: 'FleetOffline',
  severity: 'critical',
  for: '2m',
  threshold: 0,
  thresholdMeaning: 'tunnels within the last hour, above which an empty fleet is an alarm',
  expr: ({ threshold, select }) =>
    `${select(TUNNELS)} == 0 and max_over_time(${select(TUNNELS)}[1h]) > ${threshold}`,
  summary: 'Not one controller is connected.',
  description:
    'No controller is connected to {{ $labels.job }} in {{ $labels.namespace }}, and within the last hour some were.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",protocol="1"}': '40x10 0x20',
      },
      at: '20m',
      labels: { namespace: 'w', job: 'gateway' },
      description: 'No controller is connected to gateway in w, and within the last hour some were.',
    },
    silent: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="a",protocol="1"}': '40x10 0x20',
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="b",protocol="1"}': '0x10 3x20',
      },
      at: '20m',
    },
  },
}
