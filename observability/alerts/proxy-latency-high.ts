import type { Alert } from '../alert.ts'
import { PROXY_LATENCY } from '../recording.ts'

export const proxyLatencyHigh: Alert = {
  name: 'ProxyLatencyHigh',
  severity: 'warning',
  for: '10m',
  threshold: 2.5,
  thresholdMeaning: 'seconds at the 95th percentile',
  expr: ({ threshold, select }) => `${select(PROXY_LATENCY)} > ${threshold}`,
  summary: 'Requests to controllers are slow.',
  description:
    'One in twenty requests through {{ $labels.job }} in {{ $labels.namespace }} takes longer than {{ $value | humanizeDuration }}.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="ok",le="1"}':
          '0+50x40',
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="ok",le="5"}':
          '0+100x40',
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="ok",le="+Inf"}':
          '0+100x40',
      },
      at: '30m',
      labels: { namespace: 'w', job: 'gateway' },
      description: 'One in twenty requests through gateway in w takes longer than 4.6s.',
    },
    silent: {
      series: {
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="ok",le="1"}':
          '0+96x40',
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="ok",le="5"}':
          '0+100x40',
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="ok",le="+Inf"}':
          '0+100x40',
        'wmoc_gateway_proxy_request_duration_seconds_bucket{namespace="w",job="gateway",outcome="device_timeout",le="+Inf"}':
          '0+900x40',
      },
      at: '30m',
    },
  },
}
