import type { Kernel, Module } from '#src/kernel/module.ts'
import { createAudience } from './audience.ts'
import type { Sources } from './audience.ts'
import type { Channel } from './channel.ts'
import { notifications } from './contract.ts'
import { createDelivery, DELIVER_JOB, DeliverJob } from './deliver.ts'
import { subscribeToEvents } from './events.ts'
import { defineNotificationModels } from './model.ts'
import { createNotify } from './notify.ts'
import type { Notify } from './notify.ts'
import { notificationsRoutes } from './routes.ts'
import { createNotificationsService, type NotificationsService } from './service.ts'
import { createWatch, PRESENCE_JOB, PresenceJob } from './watch.ts'

export interface NotificationsModule extends Module {
  readonly service: NotificationsService
  readonly notify: Notify
}

/** What people are told, in the portal and by the channels given. */
export function createNotificationsModule(
  kernel: Kernel,
  { channels, sources }: { channels: readonly Channel[]; sources: Sources },
): NotificationsModule {
  const { Notification } = defineNotificationModels(kernel.db)
  const audience = createAudience(kernel.db, sources)
  const notify = createNotify(kernel, { audience, channels })
  const watch = createWatch(kernel, { notify })
  const service = createNotificationsService(kernel, { Notification, audience, channels })
  return {
    name: notifications.name,
    routes: [{ contract: notifications, handlers: notificationsRoutes(service) }],
    register: () => {
      subscribeToEvents(kernel, { notify, watch, audience })
      kernel.jobs.handle(DELIVER_JOB, DeliverJob, createDelivery(kernel, { audience, channels }))
      kernel.jobs.handle(PRESENCE_JOB, PresenceJob, ({ controllerId }) => watch.decideNow(controllerId))
      kernel.jobs.schedule('notifications.purge', '33 3 * * *', async () => {
        await service.purge()
      })
    },
    service,
    notify,
  }
}
