import { appError } from '@wmoc/platform/errors'
import { safeEqual } from '@wmoc/platform/ids'
import type { Handlers, Kernel, Module } from '#src/kernel/module.ts'
import type { NotificationsModule } from '../notifications/module.ts'
import { alerts } from './contract.ts'
import { createAlertsService } from './service.ts'

/** Where Alertmanager reaches people. */
export function createAlertsModule(
  kernel: Kernel,
  { notify }: { notify: NotificationsModule['notify'] },
): Module {
  const service = createAlertsService(kernel, { notify })
  const token = kernel.config.ALERTMANAGER_TOKEN
  const handlers: Handlers<typeof alerts> = {
    async alertmanager({ headers, body }) {
      if (token === null) throw appError('not_found')
      const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
      if (!safeEqual(given, token)) throw appError('unauthenticated')
      return { told: await service.accept(body) }
    },
  }
  return {
    name: alerts.name,
    routes: [{ contract: alerts, handlers }],
    register: () => kernel.jobs.schedule('alerts.purge', '41 3 * * *', () => service.purge()),
  }
}
