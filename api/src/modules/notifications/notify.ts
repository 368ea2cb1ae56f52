import { uuidv7 } from '@wmoc/platform/ids'
import type { Transaction } from 'sequelize'
import { cleanJson } from '#src/kernel/clean-text.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import type { Audience } from './audience.ts'
import type { Channel, Person } from './channel.ts'
import type { NotificationType } from './contract.ts'
import { quietUntil } from './core/quiet-hours.ts'
import { compose, type Facts } from './core/texts.ts'
import { DELIVER_JOB } from './deliver.ts'
import { preferencesOf } from './preferences.ts'

export interface News {
  readonly workspaceId: string
  readonly type: NotificationType
  /** Without the controller's name: it is read when the news is told. */
  readonly facts: Omit<Facts, 'controllerName'>
  /** The same news, told again, makes nothing new. */
  readonly dedupeKey: string
}

export type Notify = (news: News, transaction: Transaction) => Promise<void>

/**
 * Tells news of a controller to everybody in the workspace who may act on it, and news of the platform to those who
 * manage the workspace: a notification each, and its deliveries by the channels they chose, all in the caller's
 * transaction. Nothing is told of a controller that was deleted.
 */
export function createNotify(
  { db, clock, events, jobs }: Pick<Kernel, 'db' | 'clock' | 'events' | 'jobs'>,
  { audience, channels }: { audience: Audience; channels: readonly Channel[] },
): Notify {
  async function store(news: News, facts: Facts, people: readonly Person[], transaction: Transaction) {
    const texts = people.map((person) => compose(news.type, facts, person.locale))
    return rows<{ id: string; userId: string }>(
      db,
      `INSERT INTO notifications (id, user_id, workspace_id, type, title, message, data, dedupe_key, created_at)
       SELECT id, user_id, $workspaceId, $type, title, message, $data::jsonb, $dedupeKey || ':' || user_id, $now
       FROM unnest($ids::uuid[], $userIds::uuid[], $titles::text[], $messages::text[])
         AS u (id, user_id, title, message)
       ON CONFLICT (dedupe_key) DO NOTHING
       RETURNING id, user_id AS "userId"`,
      {
        ids: people.map(() => uuidv7()),
        userIds: people.map(({ userId }) => userId),
        titles: texts.map(({ title }) => title),
        messages: texts.map(({ message }) => message),
        workspaceId: news.workspaceId,
        type: news.type,
        data: JSON.stringify(cleanJson({ ...facts })),
        dedupeKey: news.dedupeKey,
        now: clock().toISOString(),
      },
      transaction,
    )
  }

  async function deliverLater(
    type: NotificationType,
    created: readonly { id: string; userId: string }[],
    transaction: Transaction,
  ): Promise<void> {
    const wants = await preferencesOf(
      db,
      created.map(({ userId }) => userId),
      transaction,
    )
    for (const { id, userId } of created) {
      for (const { name } of channels) {
        const { types, quietHours } = wants(userId)[name]
        if (!types.includes(type)) continue
        const now = clock().getTime()
        const dueAt = new Date((quietHours && quietUntil(now, quietHours)) ?? now)
        await db.query(
          `INSERT INTO notification_deliveries (notification_id, channel, user_id, state, due_at)
           VALUES ($id, $name, $userId, 'waiting', $dueAt)`,
          { bind: { id, name, userId, dueAt: dueAt.toISOString() }, transaction },
        )
        await jobs.enqueue(DELIVER_JOB, { userId, channel: name }, { transaction, startAfter: dueAt })
      }
    }
  }

  return async (news, transaction) => {
    const { controllerId } = news.facts
    const controllerName = controllerId && (await audience.controllerName(controllerId, transaction))
    if (controllerName === null) return
    const permission = controllerId ? 'controllers.command' : 'workspace.manage'
    const people = await audience.ofWorkspace(news.workspaceId, permission, transaction)
    if (people.length === 0) return
    const facts = controllerName === undefined ? news.facts : { ...news.facts, controllerName }
    const created = await store(news, facts, people, transaction)
    for (const { id, userId } of created) {
      await events.emit(
        {
          type: 'notification.created',
          workspaceId: news.workspaceId,
          userId,
          notificationId: id,
          kind: news.type,
        },
        transaction,
      )
    }
    await deliverLater(news.type, created, transaction)
  }
}
