/** The list of modules: one line each, in the order of what they need of each other. */
import type { SecretBox } from '@wmoc/platform/secret-box'
import type { Kernel, Module } from './kernel/module.ts'
import type { RateLimiter } from './kernel/rate-limit.ts'
import { alerts } from './modules/alerts/contract.ts'
import { createAlertsModule } from './modules/alerts/module.ts'
import { auth } from './modules/auth/contract.ts'
import { createAuthModule } from './modules/auth/module.ts'
import type { AuthModule } from './modules/auth/module.ts'
import { commands } from './modules/commands/contract.ts'
import { createCommandsModule } from './modules/commands/module.ts'
import { controllers } from './modules/controllers/contract.ts'
import { createControllersModule } from './modules/controllers/module.ts'
import type { ControllersModule } from './modules/controllers/module.ts'
import { events } from './modules/events/contract.ts'
import { createEventsModule } from './modules/events/module.ts'
import { createGatewayLinkModule } from './modules/gateway-link/module.ts'
import { notifications } from './modules/notifications/contract.ts'
import { createNotificationsModule } from './modules/notifications/module.ts'
import { pageCredentials } from './modules/page-credentials/contract.ts'
import { createPageCredentialsModule } from './modules/page-credentials/module.ts'
import { sharing } from './modules/sharing/contract.ts'
import { createSharingModule } from './modules/sharing/module.ts'
import { system } from './modules/system/contract.ts'
import { createSystemModule } from './modules/system/module.ts'
import { telemetry } from './modules/telemetry/contract.ts'
import { createTelemetryModule } from './modules/telemetry/module.ts'
import { createEmailChannel } from './providers/mail/email-channel.ts'
import type { Mailer } from './providers/mail/mailer.ts'

/** The public API by module, for the reference, the client and the tests. */
export const CONTRACTS = {
  system,
  auth,
  controllers,
  commands,
  telemetry,
  notifications,
  alerts,
  events,
  sharing,
  pageCredentials,
} as const

export interface Modules {
  readonly auth: AuthModule
  readonly controllers: ControllersModule
  readonly all: readonly Module[]
}

/** Makes every module; nothing runs before `register` and the process's start. */
export function createModules(
  kernel: Kernel,
  deps: { secrets: SecretBox; limiter: RateLimiter; mailer: Mailer; version: string },
): Modules {
  const signIn = createAuthModule(kernel, {
    ...deps,
    countControllers: (userId) => fleet.service.countOwned(userId),
  })
  const fleet = createControllersModule(kernel, { countQueued: (id) => orders.service.countQueued(id) })
  const orders = createCommandsModule(kernel, fleet.access)
  const measures = createTelemetryModule(kernel)
  const notices = createNotificationsModule(kernel, {
    channels: [createEmailChannel(deps.mailer)],
    sources: { controllerName: fleet.service.nameOf, command: orders.service.outcomeOf },
  })
  const stream = createEventsModule(kernel, {
    access: fleet.access,
    sessionsAlive: async (ids) => {
      const alive = await signIn.sessions.alive(ids)
      return ids.map((id) => alive.has(id))
    },
    commands: orders.service,
    notifications: notices.service,
    live: measures.live,
  })
  return {
    auth: signIn,
    controllers: fleet,
    all: [
      createSystemModule({ config: kernel.config, mailer: deps.mailer, version: deps.version }),
      signIn,
      fleet,
      orders,
      measures,
      notices,
      createAlertsModule(kernel, notices),
      createSharingModule(kernel, { ...deps, access: fleet.access, shares: fleet.shares }),
      createPageCredentialsModule(kernel, { secrets: deps.secrets, access: fleet.access }),
      stream,
      createGatewayLinkModule(fleet, orders),
    ],
  }
}
