import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, page, pageQuery, Timestamp } from '../../kernel/schemas.ts'

export const COMMAND_STATES = ['queued', 'sent', 'acknowledged', 'failed', 'expired'] as const
export const CommandState = z.enum(COMMAND_STATES)
export type CommandState = z.infer<typeof CommandState>

export const Command = z.object({
  id: Id,
  controllerId: Id,
  name: z.string(),
  params: z.json(),
  state: CommandState,
  result: z.json().nullable(),
  error: z.string().nullable(),
  createdBy: z.object({ id: Id, email: z.string() }).nullable(),
  createdAt: Timestamp,
  sentAt: Timestamp.nullable(),
  finishedAt: Timestamp.nullable(),
  expiresAt: Timestamp,
})
export type Command = z.infer<typeof Command>

export const commands = contract('commands', {
  send: route({
    method: 'POST',
    path: '/api/controllers/:id/commands',
    summary: 'Send a command; it waits while the controller is offline',
    access: 'controllers.command',
    rateLimit: 'write',
    idempotent: true,
    params: z.object({ id: Id }),
    body: z.strictObject({
      name: z.string().regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/),
      /** At most 8 KiB as JSON, at most 16 levels deep. */
      params: z.json().default({}),
      ttlSec: z.int().min(5).max(604_800).default(3_600),
    }),
    status: 202,
    response: Command,
    errors: ['too_many_queued'],
  }),
  list: route({
    method: 'GET',
    path: '/api/controllers/:id/commands',
    summary: 'History of commands, newest first',
    access: 'controllers.read',
    params: z.object({ id: Id }),
    query: z.object({ ...pageQuery, state: CommandState.optional() }),
    status: 200,
    response: page(Command),
  }),
  get: route({
    method: 'GET',
    path: '/api/controllers/:id/commands/:commandId',
    summary: 'One command and its result',
    access: 'controllers.read',
    params: z.object({ id: Id, commandId: Id }),
    status: 200,
    response: Command,
  }),
  cancel: route({
    method: 'DELETE',
    path: '/api/controllers/:id/commands/:commandId',
    summary: 'Withdraw a command that is still queued',
    access: 'controllers.command',
    params: z.object({ id: Id, commandId: Id }),
    status: 204,
    errors: ['command_already_sent'],
  }),
})
