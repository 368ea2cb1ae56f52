import type { DashboardSpec } from '../dashboard.ts'
import { NEAR, ON_JOB } from '../dashboard.ts'
import { apiErrorRatio, proxyErrorRatio, RATIO_WINDOWS } from '../recording.ts'

/** Of requests that may fail, in 30 days. */
const BUDGET = 0.001

const proxyRatio = (window: (typeof RATIO_WINDOWS)[number]) => `max(${proxyErrorRatio(window)}{${ON_JOB}})`
const apiRatio = (window: (typeof RATIO_WINDOWS)[number]) => `max(${apiErrorRatio(window)}{${NEAR}})`

export const slo: DashboardSpec = {
  name: 'slo',
  title: 'Objectives',
  description: 'Two objectives of 99.9 % in 30 days: requests to controllers, and requests to the API.',
  metric: 'wmoc_gateway_proxy_requests_total',
  rows: (
    [
      [
        'Requests to controllers',
        proxyRatio,
        'that failed by our fault; a device that is away is none of it',
      ],
      ['Requests to the API', apiRatio, 'that were answered with 5xx'],
    ] as const
  ).map(([title, ratio, meaning]) => ({
    title,
    panels: [
      {
        kind: 'stat',
        title: `${title}: budget left`,
        description: 'Of the errors that the time range shown may have. Below 0 it is overdrawn.',
        unit: 'percentunit',
        width: 6,
        queries: { left: `1 - avg_over_time((${ratio('5m')})[$__range:5m]) / ${BUDGET}` },
      },
      {
        title: `${title}: errors`,
        description: `Share ${meaning}.`,
        unit: 'percentunit',
        width: 9,
        queries: Object.fromEntries(RATIO_WINDOWS.map((window) => [window, ratio(window)])),
      },
      {
        title: `${title}: burn rate`,
        description:
          '1 uses up the budget of 30 days in 30 days. Alerts: 14.4 over an hour, 6 over six hours.',
        unit: 'short',
        width: 9,
        queries: Object.fromEntries(RATIO_WINDOWS.map((window) => [window, `${ratio(window)} / ${BUDGET}`])),
      },
    ],
  })),
}
