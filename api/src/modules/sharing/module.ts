import type { ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import type { AccessChecker, Kernel, Module } from '#src/kernel/module.ts'
import type { Shares } from '#src/modules/controllers/module.ts'
import type { RateLimiter } from '#src/kernel/rate-limit.ts'
import type { Mailer } from '#src/providers/mail/mailer.ts'
import { sharing } from './contract.ts'
import { createPageLinks } from './links.ts'
import { sharingHandlers } from './routes.ts'
import { createSharingService } from './service.ts'

/** Who has just confirmed an e-mail waits this long at most for what was shared with it. */
const SETTLE_EVERY_MS = 5_000

/** Sharing of single controllers. */
export function createSharingModule(
  kernel: Kernel,
  deps: { access: AccessChecker; shares: Shares; mailer: Mailer; limiter: RateLimiter },
): Module {
  const links = createPageLinks(kernel)
  const service = createSharingService({ kernel, links, ...deps })
  return {
    name: sharing.name,
    routes: [{ contract: sharing, handlers: sharingHandlers(service, links) }],
    internal: {
      'page-links/check': async ({
        controllerId,
        tokenHash,
      }: ControlPlaneInput<'page-links/check'>): Promise<ControlPlaneOutput<'page-links/check'>> => ({
        link: await links.check(controllerId, tokenHash),
      }),
      'page-links/alive': async ({
        linkIds,
      }: ControlPlaneInput<'page-links/alive'>): Promise<ControlPlaneOutput<'page-links/alive'>> => ({
        alive: await links.alive(linkIds),
      }),
    },
    register: () => {
      kernel.jobs.every('sharing.settle', SETTLE_EVERY_MS, async () => {
        await deps.shares.settle()
      })
      kernel.jobs.schedule('sharing.purge', '41 3 * * *', async () => {
        await links.purge()
      })
    },
  }
}
