import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, page, pageQuery, Timestamp } from '../../kernel/schemas.ts'

export const NOTIFICATION_TYPES = [
  'controller_claimed',
  'controller_online',
  'controller_offline',
  'controller_auth_failed',
  'command_failed',
  'alert_firing',
  'alert_resolved',
] as const
export const NotificationType = z.enum(NOTIFICATION_TYPES)
export type NotificationType = z.infer<typeof NotificationType>

export const CHANNELS = ['email'] as const

export const Notification = z.object({
  id: Id,
  type: NotificationType,
  /** In the language the person had when it was made. */
  title: z.string(),
  message: z.string(),
  /** What the portal needs to say it in the language of now and to link it. */
  data: z.record(z.string(), z.json()),
  isRead: z.boolean(),
  createdAt: Timestamp,
})
export type Notification = z.infer<typeof Notification>

const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/)

export const Preferences = z.strictObject({
  channels: z.strictObject({
    email: z.strictObject({
      /** Types that are mailed. */
      types: z.array(NotificationType),
      /** Nothing is mailed in these hours; what came meanwhile is mailed after them in one message. */
      quietHours: z.strictObject({ from: TimeOfDay, to: TimeOfDay, timeZone: z.string().max(60) }).nullable(),
    }),
  }),
})
export type Preferences = z.infer<typeof Preferences>

export const notifications = contract('notifications', {
  list: route({
    method: 'GET',
    path: '/api/notifications',
    summary: 'My notifications, newest first',
    access: 'user',
    query: z.object({ ...pageQuery, unread: z.stringbool().optional(), type: NotificationType.optional() }),
    status: 200,
    response: page(Notification),
  }),
  unreadCount: route({
    method: 'GET',
    path: '/api/notifications/unread-count',
    summary: 'How many are unread',
    access: 'user',
    status: 200,
    response: z.object({ count: z.int() }),
  }),
  read: route({
    method: 'PUT',
    path: '/api/notifications/:id/read',
    summary: 'Mark one as read',
    access: 'user',
    params: z.object({ id: Id }),
    status: 200,
    response: Notification,
  }),
  readAll: route({
    method: 'PUT',
    path: '/api/notifications/read-all',
    summary: 'Mark all as read',
    access: 'user',
    status: 200,
    response: z.object({ updated: z.int() }),
  }),
  preferences: route({
    method: 'GET',
    path: '/api/notifications/preferences',
    summary: 'What reaches me by which channel',
    access: 'user',
    status: 200,
    response: Preferences,
  }),
  updatePreferences: route({
    method: 'PUT',
    path: '/api/notifications/preferences',
    summary: 'Change what reaches me by which channel',
    access: 'user',
    body: Preferences,
    status: 200,
    response: Preferences,
  }),
  testChannel: route({
    method: 'POST',
    path: '/api/notifications/test',
    summary: 'Send a test message by a channel',
    access: 'user',
    rateLimit: 'mail',
    body: z.strictObject({ channel: z.enum(CHANNELS) }),
    status: 202,
    response: z.object({ status: z.literal('queued') }),
  }),
})
