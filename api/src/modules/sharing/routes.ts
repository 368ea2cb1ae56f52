import type { Handlers, RequestContext } from '#src/kernel/module.ts'
import type { sharing } from './contract.ts'
import type { PageLinks } from './links.ts'
import type { Actor, SharingService } from './service.ts'

/** Contract → services. */
export function sharingHandlers(service: SharingService, links: PageLinks): Handlers<typeof sharing> {
  return {
    listShares: async ({ params }, context) => ({
      items: await service.listShares(context.caller!.userId, params.id),
    }),
    share: ({ params, body }, context) => service.share(actorOf(context), params.id, body.email),
    async unshare({ params }, context) {
      await service.unshare(actorOf(context), params.id, params.shareId)
      return undefined
    },
    listLinks: async ({ params }, context) => ({
      items: await service.listLinks(context.caller!.userId, params.id),
    }),
    createLink: ({ params, body }, context) => service.createLink(actorOf(context), params.id, body),
    async removeLink({ params }, context) {
      await service.removeLink(actorOf(context), params.id, params.linkId)
      return undefined
    },
    resolveLink: ({ body }) => links.resolve(body.controllerId, body.token),
  }
}

function actorOf({ caller, remoteAddress }: RequestContext): Actor {
  return { userId: caller!.userId, remoteAddress }
}
