import type { Alert } from '../alert.ts'
import { apiErrorRatio } from '../recording.ts'

export const apiErrorBudgetBurn: Alert = {
  name: 'ApiErrorBudgetBurn',
  severity: 'critical',
  for: '2m',
  threshold: 14.4,
  thresholdMeaning: 'times as fast as a budget of 0.1 % of requests in 30 days allows',
  expr: ({ threshold, select }) =>
    `${select(apiErrorRatio('1h'))} > ${threshold} * 0.001 and ${select(apiErrorRatio('5m'))} > ${threshold} * 0.001`,
  summary: 'The API fails so often that the month’s error budget is gone in two days.',
  description:
    '{{ $value | humanizePercentage }} of requests to the API were answered with 5xx in the last hour ({{ $labels.job }} in {{ $labels.namespace }}).',
  tests: {
    firing: {
      series: {
        'wmoc_api_http_request_seconds_count{namespace="w",job="api",status="200"}': '0+95x90',
        'wmoc_api_http_request_seconds_count{namespace="w",job="api",status="503"}': '0+5x90',
      },
      at: '80m',
      labels: { namespace: 'w', job: 'api' },
      description: '5% of requests to the API were answered with 5xx in the last hour (api in w).',
    },
    silent: {
      series: {
        'wmoc_api_http_request_seconds_count{namespace="w",job="api",status="200"}': '0+50x90',
        'wmoc_api_http_request_seconds_count{namespace="w",job="api",status="404"}': '0+50x90',
      },
      at: '80m',
    },
  },
}
