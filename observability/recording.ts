/** Recording rules: what several alerts and dashboards ask for, named `level:metric:operation`. */
import type { AlertingRule } from './alert.ts'

export interface RecordingRule {
  readonly record: string
  readonly expr: string
}

/** Windows over which ratios of errors are kept; the alerts on burn rates take them in pairs. */
export const RATIO_WINDOWS = ['5m', '30m', '1h', '6h'] as const
export type RatioWindow = (typeof RATIO_WINDOWS)[number]

/** Share of requests to devices that failed by our fault, by namespace and job. */
export const proxyErrorRatio = (window: RatioWindow) => `job:wmoc_gateway_proxy_errors:ratio_rate${window}`
/** Share of requests to the API that it answered with 5xx. */
export const apiErrorRatio = (window: RatioWindow) => `job:wmoc_api_http_errors:ratio_rate${window}`
export const TUNNELS = 'job:wmoc_gateway_tunnels:sum'
export const PROXY_LATENCY = 'job:wmoc_gateway_proxy_request_duration_seconds:p95_5m'

const BY_JOB = 'by (namespace, job)'

/**
 * A device that is away, refuses or answers nonsense is no error of ours; a tunnel that breaks under a request, one that
 * nobody answers in time, and what is turned away for want of room or of a dependency is.
 */
function proxyErrors(window: RatioWindow): string {
  const rate = (matchers: string) => `rate(wmoc_gateway_proxy_requests_total{${matchers}}[${window}])`
  const lost = rate('outcome=~"device_disconnected|device_timeout|overloaded|shed"')
  return `sum ${BY_JOB} (${lost} or ${rate('outcome="refused",code="5xx"')})`
}

/** With no request there is no ratio; with requests and no error it is 0. */
function ratio(errors: string, all: string): string {
  return `(${errors} or 0 * ${all}) / (${all} > 0)`
}

const proxyRatios = RATIO_WINDOWS.map((window) => ({
  record: proxyErrorRatio(window),
  expr: ratio(
    proxyErrors(window),
    `sum ${BY_JOB} (rate(wmoc_gateway_proxy_requests_total{outcome!="user_left"}[${window}]))`,
  ),
}))

const apiRatios = RATIO_WINDOWS.map((window) => ({
  record: apiErrorRatio(window),
  expr: ratio(
    `sum ${BY_JOB} (rate(wmoc_api_http_request_seconds_count{status=~"5.."}[${window}]))`,
    `sum ${BY_JOB} (rate(wmoc_api_http_request_seconds_count[${window}]))`,
  ),
}))

export const RECORDING_RULES: readonly RecordingRule[] = [
  ...proxyRatios,
  ...apiRatios,
  { record: TUNNELS, expr: `sum ${BY_JOB} (wmoc_gateway_tunnels)` },
  {
    record: PROXY_LATENCY,
    expr: `histogram_quantile(0.95, sum by (namespace, job, le) (rate(wmoc_gateway_proxy_request_duration_seconds_bucket{outcome="ok"}[5m])))`,
  },
]

/** The recording rules that these alerting rules read. */
export function recordingRulesFor(rules: readonly AlertingRule[]): RecordingRule[] {
  return RECORDING_RULES.filter(({ record }) => rules.some(({ expr }) => reads(expr, record)))
}

function reads(expr: string, record: string): boolean {
  return expr.split(/[^\w:]/).includes(record)
}
