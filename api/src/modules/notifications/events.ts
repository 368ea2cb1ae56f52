import type { Kernel } from '#src/kernel/module.ts'
import type { Audience } from './audience.ts'
import type { Notify } from './notify.ts'
import type { createWatch } from './watch.ts'

/** What of the platform's events becomes news. All of it is idempotent: an event told twice makes nothing new. */
export function subscribeToEvents(
  { events }: Pick<Kernel, 'events'>,
  { notify, watch, audience }: { notify: Notify; watch: ReturnType<typeof createWatch>; audience: Audience },
): void {
  events.subscribe('notifications.claimed', ['controller.activated'], (event, transaction) =>
    notify(
      {
        workspaceId: event.workspaceId,
        type: 'controller_claimed',
        facts: { controllerId: event.controllerId },
        dedupeKey: `claimed:${event.id}`,
      },
      transaction,
    ),
  )
  events.subscribe('notifications.presence', ['controller.status'], (event, transaction) =>
    watch.statusChanged(event, transaction),
  )
  events.subscribe('notifications.auth_failed', ['controller.auth_failed'], (event, transaction) =>
    watch.authFailed(event, event.id, transaction),
  )
  events.subscribe('notifications.commands', ['command.changed'], async (event, transaction) => {
    if (event.state !== 'failed' && event.state !== 'expired') return
    const command = await audience.command(event.commandId, transaction)
    // Who withdrew a command knows that it was not done.
    if (!command || command.error === 'withdrawn') return
    await notify(
      {
        workspaceId: event.workspaceId,
        type: 'command_failed',
        facts: {
          controllerId: event.controllerId,
          commandId: event.commandId,
          commandName: command.name,
          reason: event.state === 'expired' ? 'expired' : (command.error ?? ''),
        },
        dedupeKey: `command:${event.commandId}`,
      },
      transaction,
    )
  })
}
