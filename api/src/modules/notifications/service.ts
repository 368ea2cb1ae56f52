import { appError } from '@wmoc/platform/errors'
import { Op, type ModelStatic } from 'sequelize'
import { z } from 'zod'
import type { RouteInput } from '#src/kernel/contract.ts'
import { decodeCursor, encodeCursor, toPage } from '#src/kernel/cursor.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import type { Audience } from './audience.ts'
import type { Channel } from './channel.ts'
import type { Notification, notifications, Preferences } from './contract.ts'
import { isTimeZone } from './core/quiet-hours.ts'
import { testText } from './core/texts.ts'
import type { NotificationModel } from './model.ts'
import { preferencesOf, savePreferences } from './preferences.ts'
import { presentNotification } from './presenter.ts'

type Routes = typeof notifications.routes

const SORT = 'notifications.newest'
/** As long as the history of commands. */
const HISTORY_MS = 90 * 86_400_000
const Position = z.tuple([z.iso.datetime(), z.uuid()])

/** Everything here is the person's own; what belongs to others is `not_found`. */
export interface NotificationsService {
  list(
    userId: string,
    query: RouteInput<Routes['list']>['query'],
  ): Promise<{ items: Notification[]; nextCursor: string | null }>
  get(userId: string, id: string): Promise<Notification>
  unreadCount(userId: string): Promise<number>
  read(userId: string, id: string): Promise<Notification>
  /** Answers how many were unread. */
  readAll(userId: string): Promise<number>
  preferences(userId: string): Promise<Preferences>
  /** `validation_failed` for a time zone nobody knows. */
  updatePreferences(userId: string, wanted: Preferences): Promise<Preferences>
  /** Sends at once, in quiet hours too; `conflict` when the channel can't reach the person. */
  testChannel(userId: string, channel: Channel['name']): Promise<void>
  /** Removes what is older than 90 days, read or not, with its deliveries; answers how many. */
  purge(): Promise<number>
}

/** What people do with their notifications. */
export function createNotificationsService(
  { db, clock, events }: Pick<Kernel, 'db' | 'clock' | 'events'>,
  deps: { Notification: ModelStatic<NotificationModel>; audience: Audience; channels: readonly Channel[] },
): NotificationsService {
  const { Notification, audience, channels } = deps

  async function find(userId: string, id: string): Promise<NotificationModel> {
    const found = await Notification.findOne({ where: { id, userId } })
    if (!found) throw appError('not_found')
    return found
  }

  /** Marks unread ones as read and tells the person's other windows; `id` null: all. */
  async function markRead(userId: string, id: string | null): Promise<number> {
    return db.transaction(async (transaction) => {
      const marked = await rows<{ id: string; workspaceId: string }>(
        db,
        `UPDATE notifications SET is_read = true, read_at = $now
         WHERE user_id = $userId AND NOT is_read AND ($id::uuid IS NULL OR id = $id)
         RETURNING id, workspace_id AS "workspaceId"`,
        { userId, id, now: clock() },
        transaction,
      )
      // Streams are cut by workspace: one word in each that something was read in.
      for (const workspaceId of new Set(marked.map((row) => row.workspaceId))) {
        const ids = id === null ? null : [id]
        await events.emit({ type: 'notification.read', workspaceId, userId, ids }, transaction)
      }
      return marked.length
    })
  }

  return {
    async list(userId, { limit, cursor, unread, type }) {
      const before = decodeCursor(cursor, SORT, Position)
      const found = await Notification.findAll({
        where: {
          userId,
          ...(unread === undefined ? {} : { isRead: !unread }),
          ...(type === undefined ? {} : { type }),
          ...(before && {
            [Op.or]: [
              { createdAt: { [Op.lt]: new Date(before[0]) } },
              { createdAt: new Date(before[0]), id: { [Op.lt]: before[1] } },
            ],
          }),
        },
        order: [
          ['createdAt', 'DESC'],
          ['id', 'DESC'],
        ],
        limit: limit + 1,
      })
      return toPage(found, limit, presentNotification, (last) =>
        encodeCursor(SORT, [last.createdAt.toISOString(), last.id]),
      )
    },
    get: async (userId, id) => presentNotification(await find(userId, id)),
    unreadCount: (userId) => Notification.count({ where: { userId, isRead: false } }),
    async read(userId, id) {
      await markRead(userId, id)
      return presentNotification(await find(userId, id))
    },
    readAll: (userId) => markRead(userId, null),
    async preferences(userId) {
      return { channels: (await preferencesOf(db, [userId]))(userId) }
    },
    async updatePreferences(userId, wanted) {
      const { quietHours } = wanted.channels.email
      if (quietHours && !isTimeZone(quietHours.timeZone)) throw unknownTimeZone()
      await db.transaction((transaction) =>
        savePreferences(db, userId, wanted.channels, clock(), transaction),
      )
      return wanted
    },
    async testChannel(userId, name) {
      const channel = channels.find((known) => known.name === name)
      await db.transaction(async (transaction) => {
        const person = await audience.person(userId, transaction)
        if (!channel || !person) throw appError('not_found')
        if (!channel.canReach(person))
          throw appError('conflict', { detail: 'Verify your e-mail address first.' })
        await channel.send(person, testText(person.locale), transaction)
      })
    },
    purge: () =>
      db.transaction(async (transaction) => {
        await rows(db, 'SET LOCAL statement_timeout = 0', {}, transaction)
        const gone = await rows(
          db,
          'DELETE FROM notifications WHERE created_at < $before RETURNING id',
          { before: new Date(clock().getTime() - HISTORY_MS) },
          transaction,
        )
        return gone.length
      }),
  }
}

function unknownTimeZone(): Error {
  const path = 'body.channels.email.quietHours.timeZone'
  return appError('validation_failed', {
    fields: [{ path, code: 'unknown_time_zone', message: 'must be a name like Europe/Berlin' }],
  })
}
