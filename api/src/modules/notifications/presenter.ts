import type { Notification } from './contract.ts'
import type { NotificationRow } from './model.ts'

/** The only way from a row to what leaves the API. */
export function presentNotification(row: NotificationRow): Notification {
  return {
    id: row.id,
    type: row.type,
    title: row.title,
    message: row.message,
    data: row.data,
    isRead: row.isRead,
    createdAt: row.createdAt.toISOString(),
  }
}
