/** What the API is told of tunnels: sessions, signs of life, failed registrations, results of commands. */
import type { Logger } from '@wmoc/platform/log'
import type { ControlPlaneInput, GatewayEvent } from '@wmoc/protocol/control-plane'
import type { CommandResult } from '@wmoc/protocol/messages'
import type { ControlPlane } from '#src/control-plane/client.ts'
import { createOutbox } from '#src/control-plane/outbox.ts'

type Result = ControlPlaneInput<'commands/results'>['results'][number]

export interface Reporter {
  event(event: GatewayEvent): void
  result(controllerId: string, message: CommandResult): void
  sizes(): { events: number; results: number }
  stop(deadlineMs: number): Promise<void>
}

const MAX_EVENTS = 100_000
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createReporter(controlPlane: ControlPlane, log: Logger): Reporter {
  const events = createOutbox<GatewayEvent>({
    category: 'events',
    maxItems: MAX_EVENTS,
    maxBytes: Infinity,
    maxBatch: 1_000,
    maxBatchBytes: Infinity,
    lingerMs: 20,
    log,
    send: async (items) => void (await controlPlane.call('events', { events: items })),
  })
  const results = createOutbox<Result>({
    category: 'commands',
    maxItems: 20_000,
    maxBytes: 64 * 1_048_576,
    maxBatch: 500,
    maxBatchBytes: 2 * 1_048_576,
    lingerMs: 5,
    log,
    send: async (items) => void (await controlPlane.call('commands/results', { results: items })),
  })
  return {
    event(event) {
      // Signs of life come again; sessions must not be crowded out by them.
      if (event.type === 'seen' && events.size > MAX_EVENTS / 2) return
      events.add(event)
    },
    result(controllerId, message) {
      // An id that we did not give cannot be one of ours.
      if (!UUID.test(message.id)) return
      const { id, ok, result, error } = message
      results.add({ controllerId, id, ok, result, error }, JSON.stringify(result ?? null).length + 200)
    },
    sizes: () => ({ events: events.size, results: results.size }),
    async stop(deadlineMs) {
      await Promise.all([events.stop(deadlineMs), results.stop(deadlineMs)])
    },
  }
}
