import type { DashboardSpec } from './dashboard.ts'
import { controller } from './dashboards/controller.ts'
import { fleet } from './dashboards/fleet.ts'
import { operator } from './dashboards/operator.ts'
import { shard } from './dashboards/shard.ts'
import { slo } from './dashboards/slo.ts'

export const DASHBOARDS: readonly DashboardSpec[] = [fleet, shard, controller, operator, slo]
