import type { Alert } from '../alert.ts'
import { proxyErrorRatio } from '../recording.ts'

export const tunnelErrorBudgetBurn: Alert = {
  name: 'TunnelErrorBudgetBurn',
  severity: 'critical',
  for: '2m',
  threshold: 14.4,
  thresholdMeaning: 'times as fast as a budget of 0.1 % of requests in 30 days allows',
  expr: ({ threshold, select }) =>
    `${select(proxyErrorRatio('1h'))} > ${threshold} * 0.001 and ${select(proxyErrorRatio('5m'))} > ${threshold} * 0.001`,
  summary: 'Requests to controllers fail so often that the month’s error budget is gone in two days.',
  description:
    '{{ $value | humanizePercentage }} of requests to controllers failed by our fault in the last hour ({{ $labels.job }} in {{ $labels.namespace }}).',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="ok",code="200"}': '0+95x90',
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="device_timeout",code="5xx"}':
          '0+5x90',
      },
      at: '80m',
      labels: { namespace: 'w', job: 'gateway' },
      description: '5% of requests to controllers failed by our fault in the last hour (gateway in w).',
    },
    silent: {
      series: {
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="ok",code="200"}': '0+80x90',
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="device_offline",code="5xx"}':
          '0+20x90',
      },
      at: '80m',
    },
  },
}
