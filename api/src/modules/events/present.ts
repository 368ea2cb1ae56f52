import type { z } from 'zod'
import type { StoredEvent } from '#src/kernel/event-reader.ts'
import type { Command } from '../commands/contract.ts'
import type { Notification } from '../notifications/contract.ts'
import type { StreamEvent } from './contract.ts'

export type StreamData = z.input<typeof StreamEvent>

/** Reads what an event is about as it is now; null when it is gone or not the person's to see. */
export interface EventSources {
  command(userId: string, controllerId: string, commandId: string): Promise<Command | null>
  notification(userId: string, notificationId: string): Promise<Notification | null>
}

/**
 * A domain event as one person sees it, null when it is not for them. That they may see the workspace was decided
 * before; here only notifications of others are held back.
 */
export function createPresenter(
  sources: EventSources,
): (event: StoredEvent, userId: string) => Promise<StreamData | null> {
  // Everybody in the workspace sees the same command: it is read once.
  const commands = new WeakMap<StoredEvent, Promise<Command | null>>()

  async function command(
    event: Extract<StoredEvent, { type: 'command.changed' }>,
    userId: string,
  ): Promise<StreamData | null> {
    const known = commands.get(event) ?? sources.command(userId, event.controllerId, event.commandId)
    commands.set(event, known)
    const found = await known
    return found && { type: event.type, controllerId: event.controllerId, command: found }
  }

  return async (event, userId) => {
    switch (event.type) {
      case 'controller.activated':
        return { type: event.type, controllerId: event.controllerId, name: event.name }
      case 'controller.updated':
      case 'controller.deleted':
        return { type: event.type, controllerId: event.controllerId }
      case 'controller.status':
        return { type: event.type, controllerId: event.controllerId, status: event.status, at: event.at }
      case 'command.changed':
        return command(event, userId)
      case 'notification.created': {
        if (event.userId !== userId) return null
        const notification = await sources.notification(userId, event.notificationId)
        return notification && { type: event.type, notification }
      }
      case 'notification.read':
        return event.userId === userId ? { type: event.type, ids: event.ids } : null
      case 'controller.auth_failed':
      case 'user.registered':
        return null
      default:
        return event satisfies never
    }
  }
}
