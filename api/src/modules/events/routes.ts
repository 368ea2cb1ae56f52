import { appError } from '@wmoc/platform/errors'
import type { Handlers } from '#src/kernel/module.ts'
import type { events } from './contract.ts'
import type { EventsService } from './service.ts'

/** Contract → service. */
export function eventsRoutes(service: EventsService): Handlers<typeof events> {
  return {
    stream: ({ query, headers }, { caller, signal }) => {
      if (!caller) throw appError('unauthenticated')
      return service.open({
        caller,
        lastEventId: headers['last-event-id'] ?? query.lastEventId,
        logs: query.logs ?? [],
        metrics: query.metrics ?? [],
        signal,
      })
    },
  }
}
