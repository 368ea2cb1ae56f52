import { appError } from '@wmoc/platform/errors'
import type { ApiConfig } from '#src/config.ts'
import type { Handlers, Module } from '#src/kernel/module.ts'
import type { Mailer } from '#src/providers/mail/mailer.ts'
import { system } from './contract.ts'

const SHOWN = 50

/** What the portal must know before anybody signs in, and the development outbox. */
export function createSystemModule({
  config,
  mailer,
  version,
}: {
  config: ApiConfig
  mailer: Mailer
  version: string
}): Module {
  const isDevMail = config.DEV_MAIL && config.SMTP_URL === null
  const handlers: Handlers<typeof system> = {
    meta: async () => ({
      version,
      registrationOpen: config.REGISTRATION_OPEN,
      deviceDomain: config.DEVICE_DOMAIN,
      devMail: isDevMail,
    }),
    devMail: async () => {
      if (!isDevMail) throw appError('not_found')
      const items = await mailer.outbox(SHOWN)
      return { items: items.map((mail) => ({ ...mail, createdAt: mail.createdAt.toISOString() })) }
    },
  }
  return { name: 'system', routes: [{ contract: system, handlers }] }
}
