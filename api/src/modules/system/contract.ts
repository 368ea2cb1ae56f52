import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, Timestamp } from '../../kernel/schemas.ts'

export const DevMail = z.object({
  id: Id,
  to: z.string(),
  subject: z.string(),
  text: z.string(),
  createdAt: Timestamp,
})
export type DevMail = z.infer<typeof DevMail>

export const system = contract('system', {
  meta: route({
    method: 'GET',
    path: '/api/meta',
    summary: 'What the portal must know of this installation before anybody signs in',
    access: 'public',
    status: 200,
    response: z.object({
      version: z.string(),
      registrationOpen: z.boolean(),
      /** Devices have origins of their own under this domain; null: one host name only. */
      deviceDomain: z.string().nullable(),
      /** Mail goes to the development outbox instead of a server. */
      devMail: z.boolean(),
    }),
  }),
  devMail: route({
    method: 'GET',
    path: '/api/dev/mail',
    summary: 'The development outbox, newest first; 404 where SMTP is configured',
    access: 'public',
    status: 200,
    response: z.object({ items: z.array(DevMail) }),
  }),
})
