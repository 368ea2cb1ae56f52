import { appError } from '@wmoc/platform/errors'
import { requirePermission } from '#src/kernel/permissions.ts'
import type { AccessChecker, Handlers, RequestContext } from '#src/kernel/module.ts'
import type { telemetry } from './contract.ts'
import type { TelemetryService } from './service.ts'

/** Contract → service, for those who may read the controller. */
export function telemetryRoutes(
  service: TelemetryService,
  access: AccessChecker,
): Handlers<typeof telemetry> {
  async function requireReadable({ caller }: RequestContext, id: string): Promise<void> {
    if (!caller) throw appError('unauthenticated')
    requirePermission(await access.roleOnController(caller.userId, id), 'controllers.read')
  }
  return {
    metrics: async ({ params, query }, context) => {
      await requireReadable(context, params.id)
      return service.metrics(params.id, query)
    },
    metricTypes: async ({ params }, context) => {
      await requireReadable(context, params.id)
      return service.metricTypes(params.id)
    },
    logs: async ({ params, query }, context) => {
      await requireReadable(context, params.id)
      return service.logs(params.id, query)
    },
  }
}
