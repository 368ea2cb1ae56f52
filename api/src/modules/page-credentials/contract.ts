import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, Timestamp } from '../../kernel/schemas.ts'

/** A sign-in to a device's own page as its owner is shown it: never the password. */
export const RememberedSignIn = z.object({
  scheme: z.enum(['basic', 'digest']),
  /** What the device calls it. */
  realm: z.string(),
  username: z.string(),
  savedAt: Timestamp,
})
export type RememberedSignIn = z.infer<typeof RememberedSignIn>

const id = z.object({ id: Id })

export const pageCredentials = contract('pageCredentials', {
  get: route({
    method: 'GET',
    path: '/api/controllers/:id/page-credentials',
    summary: 'My remembered sign-in to the device’s own page, without the password',
    access: 'controllers.read',
    params: id,
    status: 200,
    response: z.object({ remembered: RememberedSignIn.nullable() }),
  }),
  forget: route({
    method: 'DELETE',
    path: '/api/controllers/:id/page-credentials',
    summary: 'Forget my sign-in to the device’s own page, remembered or of this session',
    description:
      'May be repeated. The device asks again at the next visit; nobody else’s sign-in is touched.',
    access: 'controllers.read',
    params: id,
    status: 204,
  }),
})
