import type { Transaction } from 'sequelize'
import { z } from 'zod'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import type { Audience } from './audience.ts'
import type { Channel, Person } from './channel.ts'
import { CHANNELS } from './contract.ts'
import { quietUntil } from './core/quiet-hours.ts'
import { digest } from './core/texts.ts'
import { preferencesOf } from './preferences.ts'

export const DELIVER_JOB = 'notifications.deliver'
export const DeliverJob = z.object({ userId: z.uuid(), channel: z.enum(CHANNELS) })
export type DeliverJob = z.infer<typeof DeliverJob>

interface Waiting {
  readonly id: string
  readonly title: string
  readonly message: string
}

/**
 * Sends what waits for one person by one channel, as one message, and notes it as sent in the same transaction: of any
 * number of runs exactly one sends. In quiet hours it puts itself off to their end.
 */
export function createDelivery(
  { db, clock, jobs, log }: Pick<Kernel, 'db' | 'clock' | 'jobs' | 'log'>,
  { audience, channels }: { audience: Audience; channels: readonly Channel[] },
): (job: DeliverJob) => Promise<void> {
  async function finish(
    waiting: readonly Waiting[],
    name: Channel['name'],
    state: 'sent' | 'skipped',
    transaction: Transaction,
  ): Promise<void> {
    await db.query(
      `UPDATE notification_deliveries SET state = $state, attempts = attempts + 1, done_at = $now
       WHERE notification_id = ANY($ids::uuid[]) AND channel = $name`,
      { bind: { ids: waiting.map(({ id }) => id), name, state, now: clock().toISOString() }, transaction },
    )
  }

  async function putOff(job: DeliverJob, until: number, transaction: Transaction): Promise<void> {
    const startAfter = new Date(until)
    await db.query(
      `UPDATE notification_deliveries SET due_at = $until
       WHERE user_id = $userId AND channel = $channel AND state = 'waiting' AND due_at < $until`,
      { bind: { ...job, until: startAfter.toISOString() }, transaction },
    )
    await jobs.enqueue(DELIVER_JOB, job, { transaction, startAfter })
  }

  async function send(
    channel: Channel,
    person: Person,
    waiting: readonly Waiting[],
    transaction: Transaction,
  ) {
    const canReach = channel.canReach(person)
    if (canReach) await channel.send(person, digest(waiting, person.locale), transaction)
    await finish(waiting, channel.name, canReach ? 'sent' : 'skipped', transaction)
    log.info('mail', canReach ? 'notifications handed over' : 'notifications cannot be sent', {
      channel: channel.name,
      count: waiting.length,
    })
  }

  return async (job) => {
    const channel = channels.find(({ name }) => name === job.channel)
    if (!channel) return
    await db.transaction(async (transaction) => {
      const now = clock().getTime()
      const waiting = await takeWaiting(job, new Date(now), transaction)
      const person = await audience.person(job.userId, transaction)
      if (waiting.length === 0 || !person) return
      const { quietHours } = (await preferencesOf(db, [job.userId], transaction))(job.userId)[job.channel]
      const until = quietHours && quietUntil(now, quietHours)
      if (until !== null) await putOff(job, until, transaction)
      else await send(channel, person, waiting, transaction)
    })
  }

  function takeWaiting(job: DeliverJob, now: Date, transaction: Transaction): Promise<Waiting[]> {
    return rows<Waiting>(
      db,
      `SELECT n.id, n.title, n.message FROM notification_deliveries d
       JOIN notifications n ON n.id = d.notification_id
       WHERE d.user_id = $userId AND d.channel = $channel AND d.state = 'waiting' AND d.due_at <= $now
       ORDER BY n.created_at, n.id FOR UPDATE OF d SKIP LOCKED`,
      { ...job, now: now.toISOString() },
      transaction,
    )
  }
}
