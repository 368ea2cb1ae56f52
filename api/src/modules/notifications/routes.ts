import { appError } from '@wmoc/platform/errors'
import type { Handlers, RequestContext } from '#src/kernel/module.ts'
import type { notifications } from './contract.ts'
import type { NotificationsService } from './service.ts'

/** Contract → service. */
export function notificationsRoutes(service: NotificationsService): Handlers<typeof notifications> {
  return {
    list: ({ query }, context) => service.list(me(context), query),
    unreadCount: async (_, context) => ({ count: await service.unreadCount(me(context)) }),
    read: ({ params }, context) => service.read(me(context), params.id),
    readAll: async (_, context) => ({ updated: await service.readAll(me(context)) }),
    preferences: (_, context) => service.preferences(me(context)),
    updatePreferences: ({ body }, context) => service.updatePreferences(me(context), body),
    testChannel: async ({ body }, context) => {
      await service.testChannel(me(context), body.channel)
      return { status: 'queued' }
    },
  }
}

function me({ caller }: RequestContext): string {
  if (!caller) throw appError('unauthenticated')
  return caller.userId
}
