import type { Alert } from '../alert.ts'
import { TUNNELS } from '../recording.ts'

export const fleetMassDisconnect: Alert = {
  name: 'FleetMassDisconnect',
  severity: 'critical',
  for: '2m',
  threshold: 0.3,
  thresholdMeaning: 'share of the tunnels of ten minutes ago that is lost',
  expr: ({ threshold, select }) =>
    `${select(TUNNELS)} < (1 - ${threshold}) * ${select(TUNNELS)} offset 10m and ${select(TUNNELS)} offset 10m >= 10`,
  summary: 'Many controllers lost their connection at once.',
  description:
    '{{ $value }} tunnels of {{ $labels.job }} in {{ $labels.namespace }} remain; ten minutes ago there were many more.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",protocol="2"}': '1000x12 600x20',
      },
      at: '17m',
      labels: { namespace: 'w', job: 'gateway' },
      description: '600 tunnels of gateway in w remain; ten minutes ago there were many more.',
    },
    silent: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="a",protocol="2"}': '1000x12 0x20',
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="b",protocol="2"}': '1000x12 1900x20',
      },
      at: '17m',
    },
  },
}
