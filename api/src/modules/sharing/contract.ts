import { PageScope } from '@wmoc/protocol/control-plane'
import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, Timestamp } from '../../kernel/schemas.ts'

/** The longest that a link may be good for: 30 days. */
export const MAX_LINK_TTL_SEC = 2_592_000

/** A person who may look at one controller. Says nothing of whether there is an account of that e-mail yet. */
export const Share = z.object({ id: Id, email: z.string(), createdAt: Timestamp })
export type Share = z.infer<typeof Share>

export const NewShare = z.strictObject({ email: z.string().trim().toLowerCase().max(255).pipe(z.email()) })
export type NewShare = z.infer<typeof NewShare>

/** A link that opens one controller's page without an account. `view`: nothing can be changed by it. */
export const SharedLink = z.object({
  id: Id,
  scope: PageScope,
  createdBy: z.object({ id: Id, email: z.string() }).nullable(),
  createdAt: Timestamp,
  expiresAt: Timestamp,
})
export type SharedLink = z.infer<typeof SharedLink>

export const NewLink = z.strictObject({
  scope: PageScope,
  ttlSec: z.int().min(60).max(MAX_LINK_TTL_SEC).default(86_400),
})
export type NewLink = z.infer<typeof NewLink>

const id = z.object({ id: Id })

export const sharing = contract('sharing', {
  listShares: route({
    method: 'GET',
    path: '/api/controllers/:id/shares',
    summary: 'Who may look at this controller without being in its workspace',
    access: 'controllers.write',
    params: id,
    status: 200,
    response: z.object({ items: z.array(Share) }),
  }),
  share: route({
    method: 'POST',
    path: '/api/controllers/:id/shares',
    summary: 'Let a person look at it; they get a mail',
    description:
      'Who has no account yet sees it as soon as they have made one with this e-mail and confirmed it. The answer is the same for everybody. Who got several mails of this kind today gets no further one. At most 100 people: else 409.',
    access: 'controllers.write',
    rateLimit: 'write',
    idempotent: true,
    params: id,
    body: NewShare,
    status: 201,
    response: Share,
    errors: ['conflict'],
  }),
  unshare: route({
    method: 'DELETE',
    path: '/api/controllers/:id/shares/:shareId',
    summary: 'End it; pages that they have open end at once',
    access: 'controllers.write',
    params: z.object({ id: Id, shareId: Id }),
    status: 204,
  }),
  listLinks: route({
    method: 'GET',
    path: '/api/controllers/:id/page-links',
    summary: 'Links that open its page without an account, newest first; those that ran out are left out',
    access: 'controllers.write',
    params: id,
    status: 200,
    response: z.object({ items: z.array(SharedLink) }),
  }),
  createLink: route({
    method: 'POST',
    path: '/api/controllers/:id/page-links',
    summary: 'Make a link that opens its page without an account',
    description: 'At most 50 at a time: else 409.',
    access: 'controllers.write',
    rateLimit: 'write',
    idempotent: true,
    params: id,
    body: NewLink,
    status: 201,
    /** `url` is shown once: `https://HOST/shared/{controllerId}#{token}`; the token is stored hashed. */
    response: z.object({ link: SharedLink, url: z.string() }),
    errors: ['conflict'],
  }),
  removeLink: route({
    method: 'DELETE',
    path: '/api/controllers/:id/page-links/:linkId',
    summary: 'Withdraw a link; pages that were opened by it end at once',
    access: 'controllers.write',
    params: z.object({ id: Id, linkId: Id }),
    status: 204,
  }),
  resolveLink: route({
    method: 'POST',
    path: '/api/page-links/resolve',
    summary: 'What a guest is told of the controller that a link is for',
    access: 'public',
    body: z.strictObject({ controllerId: Id, token: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }),
    status: 200,
    response: z.object({
      name: z.string(),
      scope: PageScope,
      expiresAt: Timestamp,
      online: z.boolean(),
      lastSeenAt: Timestamp.nullable(),
    }),
    errors: ['not_found'],
  }),
})
