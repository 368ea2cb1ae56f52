import type { Handlers } from '#src/kernel/module.ts'
import type { commands } from './contract.ts'
import type { CommandsService } from './service.ts'

/** Contract → service. */
export function commandHandlers(service: CommandsService): Handlers<typeof commands> {
  return {
    send: ({ params, body }, context) => service.send(context.caller!.userId, params.id, body),
    list: ({ params, query }, context) => service.list(context.caller!.userId, params.id, query),
    get: ({ params }, context) => service.get(context.caller!.userId, params.id, params.commandId),
    async cancel({ params }, context) {
      await service.cancel(context.caller!.userId, params.id, params.commandId)
      return undefined
    },
  }
}
