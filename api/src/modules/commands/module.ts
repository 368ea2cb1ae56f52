import type { AccessChecker, Kernel, Module } from '#src/kernel/module.ts'
import { commands } from './contract.ts'
import { defineCommandModel } from './model.ts'
import { commandHandlers } from './routes.ts'
import { createCommandsService } from './service.ts'
import type { CommandsService } from './service.ts'

const EXPIRE_EVERY_MS = 3_000

export interface CommandsModule extends Module {
  readonly service: CommandsService
}

/** Commands for controllers. */
export function createCommandsModule(kernel: Kernel, access: AccessChecker): CommandsModule {
  defineCommandModel(kernel.db)
  const service = createCommandsService({ kernel, access })
  const expire = async () => {
    const expired = await service.expireDue()
    if (expired > 0) kernel.log.info('commands', 'ended commands that ran out', { expired })
  }
  return {
    name: 'commands',
    routes: [{ contract: commands, handlers: commandHandlers(service) }],
    register: () => {
      kernel.jobs.every('commands.expire', EXPIRE_EVERY_MS, expire)
      kernel.jobs.schedule('commands.purge', '23 3 * * *', async () => {
        await service.purge()
      })
    },
    service,
  }
}
