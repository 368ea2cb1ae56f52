/** The dashboards of the chart. */
import { DASHBOARDS } from '../../observability/all-dashboards.ts'
import { dashboardText } from '../../observability/dashboard.ts'

export const DASHBOARD_FILES: Readonly<Record<string, () => string>> = Object.fromEntries(
  DASHBOARDS.map((spec) => [`charts/wmoc/files/dashboards/${spec.name}.json`, () => dashboardText(spec)]),
)
