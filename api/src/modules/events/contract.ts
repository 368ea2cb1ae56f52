import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id } from '../../kernel/schemas.ts'
import { Command } from '../commands/contract.ts'
import { ControllerStatus } from '../controllers/contract.ts'
import { Notification } from '../notifications/contract.ts'
import { LogEntry } from '../telemetry/contract.ts'

/** One event of the stream; the SSE `event:` field is its `type`, `id:` the place to go on from. */
export const StreamEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('controller.activated'), controllerId: Id, name: z.string() }),
  z.object({ type: z.literal('controller.updated'), controllerId: Id }),
  z.object({ type: z.literal('controller.deleted'), controllerId: Id }),
  z.object({ type: z.literal('controller.status'), controllerId: Id, status: ControllerStatus, at: z.int() }),
  z.object({ type: z.literal('command.changed'), controllerId: Id, command: Command }),
  z.object({ type: z.literal('notification.created'), notification: Notification }),
  z.object({ type: z.literal('notification.read'), ids: z.array(Id).nullable() }),
  /** Only for controllers named in `metrics=`: values as they arrive; no id, a gap is read again from the series. */
  z.object({
    type: z.literal('metrics.received'),
    controllerId: Id,
    items: z.array(z.object({ type: z.string(), value: z.json(), t: z.int() })),
  }),
  /** Only for controllers named in `logs=`. */
  z.object({ type: z.literal('logs.received'), controllerId: Id, items: z.array(LogEntry) }),
  /** The stream's tail was cut (the client was away too long): read everything again. */
  z.object({ type: z.literal('stream.reset') }),
])
export type StreamEvent = z.infer<typeof StreamEvent>

const ids = z
  .string()
  .max(800)
  .transform((value) => value.split(',').filter(Boolean))
  .pipe(z.array(Id).max(20))

export const events = contract('events', {
  stream: route({
    method: 'GET',
    path: '/api/events',
    summary: 'Everything that changes, as server-sent events',
    description:
      'Goes on after `Last-Event-ID` (header, or `lastEventId` in the query). A comment line each 15 s keeps it open; it ends when the session ends.',
    access: 'user',
    headers: z.object({ 'last-event-id': z.string().max(100).optional() }),
    query: z.object({
      logs: ids.optional(),
      metrics: ids.optional(),
      lastEventId: z.string().max(100).optional(),
    }),
    status: 200,
    stream: StreamEvent,
  }),
})
