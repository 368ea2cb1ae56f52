import type { Transaction } from 'sequelize'
import { z } from 'zod'
import type { DomainEvent } from '#src/kernel/domain-events.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow } from '#src/kernel/rows.ts'
import { decide, dueAt, observe, PRESENCE_RULES, type PresenceState } from './core/presence.ts'
import type { Notify } from './notify.ts'

export const PRESENCE_JOB = 'notifications.presence'
export const PresenceJob = z.object({ controllerId: z.uuid() })

/** A controller whose secret somebody guesses is worth one word an hour. */
const AUTH_FAILED_EVERY_MS = 3_600_000
/** A decision that is this late was lost; the next change of status makes a new one. */
const LOST_AFTER_MS = 600_000

type StatusEvent = Extract<DomainEvent, { type: 'controller.status' }>
type AuthFailedEvent = Extract<DomainEvent, { type: 'controller.auth_failed' }>

interface Notice {
  readonly workspaceId: string
  readonly presence: PresenceState | null
  readonly dueAt: Date | null
  readonly authFailedToldAt: Date | null
}

/** The thin shell around `core/presence.ts`: keeps the state of each controller and asks for a decision when it is due. */
export function createWatch(
  { db, clock, jobs }: Pick<Kernel, 'db' | 'clock' | 'jobs'>,
  { notify }: { notify: Notify },
): {
  statusChanged(event: StatusEvent, transaction: Transaction): Promise<void>
  authFailed(event: AuthFailedEvent, eventId: string, transaction: Transaction): Promise<void>
  /** The job: tells what is due, and asks to be run again when something still is not. */
  decideNow(controllerId: string): Promise<void>
} {
  async function decideLater(
    controllerId: string,
    presence: PresenceState,
    transaction: Transaction,
  ): Promise<Date | null> {
    const due = dueAt(presence, PRESENCE_RULES)
    if (due === null) return null
    const startAfter = new Date(due)
    await jobs.enqueue(PRESENCE_JOB, { controllerId }, { transaction, startAfter })
    return startAfter
  }

  async function save(
    controllerId: string,
    presence: PresenceState,
    due: Date | null,
    transaction: Transaction,
  ): Promise<void> {
    await db.query(
      `UPDATE controller_notices SET presence = $presence::jsonb, due_at = $due WHERE controller_id = $controllerId`,
      {
        bind: { controllerId, presence: JSON.stringify(presence), due: due?.toISOString() ?? null },
        transaction,
      },
    )
  }

  async function lockOrMake(
    event: StatusEvent | AuthFailedEvent,
    transaction: Transaction,
  ): Promise<Notice | null> {
    const { controllerId, workspaceId } = event
    await db.query(
      `INSERT INTO controller_notices (controller_id, workspace_id)
       SELECT id, $workspaceId FROM controllers WHERE id = $controllerId ON CONFLICT DO NOTHING`,
      { bind: { controllerId, workspaceId }, transaction },
    )
    return lock(controllerId, transaction)
  }

  function lock(controllerId: string, transaction: Transaction): Promise<Notice | null> {
    return firstRow<Notice>(
      db,
      `SELECT workspace_id AS "workspaceId", presence, due_at AS "dueAt", auth_failed_told_at AS "authFailedToldAt"
       FROM controller_notices WHERE controller_id = $controllerId FOR UPDATE`,
      { controllerId },
      transaction,
    )
  }

  return {
    statusChanged: async (event, transaction) => {
      const notice = await lockOrMake(event, transaction)
      if (!notice) return
      const presence = observe(notice.presence, event.status, event.at)
      const isOnItsWay = notice.dueAt !== null && notice.dueAt.getTime() > clock().getTime() - LOST_AFTER_MS
      const due = isOnItsWay ? notice.dueAt : await decideLater(event.controllerId, presence, transaction)
      await save(event.controllerId, presence, due, transaction)
    },
    authFailed: async (event, eventId, transaction) => {
      const notice = await lockOrMake(event, transaction)
      if (!notice) return
      const now = clock()
      const last = notice.authFailedToldAt?.getTime() ?? Number.NEGATIVE_INFINITY
      if (now.getTime() - last < AUTH_FAILED_EVERY_MS) return
      await db.query(
        'UPDATE controller_notices SET auth_failed_told_at = $now WHERE controller_id = $controllerId',
        { bind: { controllerId: event.controllerId, now: now.toISOString() }, transaction },
      )
      await notify(
        {
          workspaceId: event.workspaceId,
          type: 'controller_auth_failed',
          facts: {
            controllerId: event.controllerId,
            remoteAddress: event.remoteAddress,
            reason: event.reason,
          },
          dedupeKey: `auth_failed:${eventId}`,
        },
        transaction,
      )
    },
    decideNow: (controllerId) =>
      db.transaction(async (transaction) => {
        const notice = await lock(controllerId, transaction)
        if (!notice?.presence) return
        const { state, notice: news } = decide(notice.presence, clock().getTime(), PRESENCE_RULES)
        if (news) {
          await notify(
            {
              workspaceId: notice.workspaceId,
              type: news.status === 'offline' ? 'controller_offline' : 'controller_online',
              facts: { controllerId, since: new Date(news.since).toISOString() },
              dedupeKey: `presence:${controllerId}:${news.status}:${news.since}`,
            },
            transaction,
          )
        }
        await save(controllerId, state, await decideLater(controllerId, state, transaction), transaction)
      }),
  }
}
