/** What the gateway tells the portal of one device's page: where to show it, and for how long. */
import { contract, route } from '@wmoc/api/contract-kit'
import { z } from 'zod'

const Lease = z.object({
  /** Ms since 1970. */
  expiresAt: z.number(),
  renewAfterMs: z.number().int().positive(),
})

export const Opened = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('frame'),
    /** A path of this host; nothing else may come into the frame. */
    src: z.string().regex(/^\/c\/[0-9a-f-]{36}~[\w~.-]+\/$/),
    capability: z.string().max(200),
    scope: z.enum(['view', 'use']),
    ...Lease.shape,
  }),
  z.object({ kind: z.literal('own_origin'), url: z.url({ protocol: /^https?$/ }) }),
])
export type Opened = z.infer<typeof Opened>
export type OpenedFrame = Extract<Opened, { kind: 'frame' }>

const params = z.object({ id: z.uuid() })
const ofCapability = z.object({ capability: z.string() })

const ROUTES = {
  open: {
    method: 'POST',
    path: '/c/:id/_wmoc/page',
    summary: 'Open the page',
    params,
    body: z.object({ link: z.string().optional() }),
    status: 200,
    response: Opened,
  },
  renew: {
    method: 'POST',
    path: '/c/:id/_wmoc/page/renew',
    summary: 'Go on with it',
    params,
    body: ofCapability,
    status: 200,
    response: Lease,
  },
  revoke: {
    method: 'POST',
    path: '/c/:id/_wmoc/page/revoke',
    summary: 'Close it for good',
    params,
    body: ofCapability,
    status: 204,
  },
} as const

/** For who is signed in. */
export const memberPage = contract('memberPage', {
  open: route({ ...ROUTES.open, access: 'user' }),
  renew: route({ ...ROUTES.renew, access: 'user' }),
  revoke: route({ ...ROUTES.revoke, access: 'user' }),
})
/** For guests, who have a link instead. */
export const guestPage = contract('guestPage', {
  open: route({ ...ROUTES.open, access: 'public' }),
  renew: route({ ...ROUTES.renew, access: 'public' }),
  revoke: route({ ...ROUTES.revoke, access: 'public' }),
})
