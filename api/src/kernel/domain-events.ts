/** Every domain event of the platform: a closed set, so that a stranger can find who emits and who listens. */
import type { NotificationType } from '#src/modules/notifications/contract.ts'

interface Base {
  readonly workspaceId: string
}

export type DomainEvent = Base &
  (
    | {
        readonly type: 'controller.activated'
        readonly controllerId: string
        readonly userId: string
        readonly name: string
      }
    | { readonly type: 'controller.updated'; readonly controllerId: string }
    | { readonly type: 'controller.deleted'; readonly controllerId: string; readonly name: string }
    /** Every connect and disconnect that changes the status; `at` in ms is the gateway's time of it. */
    | {
        readonly type: 'controller.status'
        readonly controllerId: string
        readonly status: 'online' | 'offline'
        readonly at: number
      }
    | {
        readonly type: 'controller.auth_failed'
        readonly controllerId: string
        readonly remoteAddress: string
        readonly reason: 'bad_secret' | 'conflict' | 'quarantined'
      }
    | {
        readonly type: 'command.changed'
        readonly controllerId: string
        readonly commandId: string
        readonly state: string
        readonly createdBy: string | null
      }
    | {
        readonly type: 'notification.created'
        readonly userId: string
        readonly notificationId: string
        readonly kind: NotificationType
      }
    | { readonly type: 'notification.read'; readonly userId: string; readonly ids: string[] | null }
    | { readonly type: 'user.registered'; readonly userId: string }
  )

export type DomainEventType = DomainEvent['type']
