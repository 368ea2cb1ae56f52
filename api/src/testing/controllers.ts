/** The controllers and commands modules on real PostgreSQL and Redis, without listeners; and controllers to test with. */
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import { randomBytes } from 'node:crypto'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import { createCommandsModule } from '#src/modules/commands/module.ts'
import type { CommandsModule } from '#src/modules/commands/module.ts'
import type { Controller } from '#src/modules/controllers/contract.ts'
import { createControllersModule } from '#src/modules/controllers/module.ts'
import type { ControllersModule } from '#src/modules/controllers/module.ts'
import { openKernel } from './plain-kernel.ts'
import type { PlainKernel } from './plain-kernel.ts'
import { insertUser } from './plain-rows.ts'
import type { PlainUser } from './plain-rows.ts'

export const ADDRESS = '203.0.113.7'

export interface ControllersUnderTest {
  readonly kernel: Kernel
  readonly controllers: ControllersModule
  readonly commands: CommandsModule
  /** Moves the kernel's clock. */
  advance(ms: number): void
  buildUser(options?: { tier?: string }): Promise<PlainUser>
  /** An active controller of this person, activated by a token, and its secret. */
  buildController(
    user: PlainUser,
    device?: Partial<DeviceDescription>,
  ): Promise<{ id: string; secret: string; verifier: string }>
  /** Domain events emitted so far, oldest first. */
  events(type?: string): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/** A device as the gateway would describe it; a fresh MAC unless one is given. */
export function describeDevice(device: Partial<DeviceDescription> = {}): DeviceDescription {
  const mac = [...randomBytes(6)].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':')
  return {
    mac,
    firmwareVersion: '1.0.0',
    model: 'Relay 2',
    metadata: {},
    remoteAddress: ADDRESS,
    ...device,
  }
}

/** Opens everything; `close` ends it. */
export async function openControllers(): Promise<ControllersUnderTest> {
  return withControllers(await openKernel())
}

/** The two modules on a kernel. */
export async function withControllers(kernel: PlainKernel): Promise<ControllersUnderTest> {
  const { db } = kernel
  const controllers: ControllersModule = createControllersModule(kernel, {
    countQueued: (id) => commands.service.countQueued(id),
  })
  const commands = createCommandsModule(kernel, controllers.access)
  controllers.register?.()
  commands.register?.()
  await kernel.start({ work: false })
  return {
    kernel,
    controllers,
    commands,
    advance: (ms) => kernel.advance(ms),
    buildUser: (options = {}) => insertUser(db, options),
    async buildController(user, device = {}) {
      const { token } = await controllers.tokens.createToken({
        userId: user.userId,
        remoteAddress: ADDRESS,
        name: undefined,
      })
      const redeemed = await controllers.tokens.redeem({ token, device: describeDevice(device) })
      if (redeemed.outcome !== 'issued') throw new Error(`not activated: ${redeemed.reason}`)
      const { controllerId, verifiers } = redeemed.controller
      return { id: controllerId, secret: redeemed.secret, verifier: verifiers[0]! }
    },
    async events(type) {
      const found = await rows<{ type: string; payload: object }>(
        db,
        `SELECT type, payload FROM domain_events WHERE $type::text IS NULL OR type = $type ORDER BY position`,
        { type: type ?? null },
      )
      return found.map((row) => ({ type: row.type, ...row.payload }))
    },
    close: () => kernel.close(),
  }
}

/** The controllers of a person, by their names. */
export async function listAll(under: ControllersUnderTest, user: PlainUser): Promise<Controller[]> {
  const page = await under.controllers.service.list(user.userId, { sort: 'name', limit: 200 })
  return page.items
}
