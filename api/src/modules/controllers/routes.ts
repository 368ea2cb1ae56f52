import type { Caller, Handlers, RequestContext } from '#src/kernel/module.ts'
import type { CodeActivation } from './claims.ts'
import type { controllers } from './contract.ts'
import { etagOf } from './service.ts'
import type { Actor, ControllersService } from './service.ts'
import type { TokenActivation } from './tokens.ts'
import type { ControllerViews } from './views.ts'

/** Contract → services. */
export function controllerHandlers(deps: {
  service: ControllersService
  tokens: TokenActivation
  codes: CodeActivation
  views: ControllerViews
}): Handlers<typeof controllers> {
  const { service, tokens, codes, views } = deps
  return {
    list: ({ query }, context) => service.list(caller(context).userId, query),
    summary: (_, context) => service.summary(caller(context).userId),
    async activate({ body: { code, name } }, context) {
      const actor = actorOf(context)
      if (code === undefined) return tokens.createToken({ ...actor, name })
      return { kind: 'claimed', controller: await codes.confirm(code, name, actor) }
    },
    previewClaim: ({ body }, context) => codes.preview(body.code, actorOf(context)),
    listViews: async (_, context) => ({ items: await views.list(caller(context).userId) }),
    createView: ({ body }, context) => views.create(caller(context).userId, body),
    async removeView({ params }, context) {
      await views.remove(caller(context).userId, params.viewId)
      return undefined
    },
    async get({ params }, context) {
      const controller = await service.get(caller(context).userId, params.id)
      context.setHeader('etag', etagOf(controller))
      return controller
    },
    async update({ params, body, headers }, context) {
      const controller = await service.update(actorOf(context), params.id, body, headers['if-match'] ?? null)
      context.setHeader('etag', etagOf(controller))
      return controller
    },
    async remove({ params }, context) {
      await service.remove(actorOf(context), params.id)
      return undefined
    },
    rotateCredentials: ({ params }, context) => service.rotate(actorOf(context), params.id),
    status: ({ params }, context) => service.status(caller(context).userId, params.id),
  }
}

function caller(context: RequestContext): Caller {
  return context.caller!
}

function actorOf(context: RequestContext): Actor {
  return { userId: caller(context).userId, remoteAddress: context.remoteAddress }
}
