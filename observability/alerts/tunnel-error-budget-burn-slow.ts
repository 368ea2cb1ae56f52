import type { Alert } from '../alert.ts'
import { proxyErrorRatio } from '../recording.ts'

export const tunnelErrorBudgetBurnSlow: Alert = {
  name: 'TunnelErrorBudgetBurnSlow',
  severity: 'warning',
  for: '15m',
  threshold: 6,
  thresholdMeaning: 'times as fast as a budget of 0.1 % of requests in 30 days allows',
  expr: ({ threshold, select }) =>
    `${select(proxyErrorRatio('6h'))} > ${threshold} * 0.001 and ${select(proxyErrorRatio('30m'))} > ${threshold} * 0.001`,
  summary: 'Requests to controllers fail so often that the month’s error budget is gone in five days.',
  description:
    '{{ $value | humanizePercentage }} of requests to controllers failed by our fault in the last six hours ({{ $labels.job }} in {{ $labels.namespace }}).',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="ok",code="200"}': '0+99x84',
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="refused",code="5xx"}':
          '0+1x84',
      },
      interval: '5m',
      at: '400m',
      labels: { namespace: 'w', job: 'gateway' },
      description: '1% of requests to controllers failed by our fault in the last six hours (gateway in w).',
    },
    silent: {
      series: {
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="ok",code="200"}': '0+99x84',
        'wmoc_gateway_proxy_requests_total{namespace="w",job="gateway",outcome="refused",code="4xx"}':
          '0+1x84',
      },
      interval: '5m',
      at: '400m',
    },
  },
}
