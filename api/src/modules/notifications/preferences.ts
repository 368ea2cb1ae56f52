import type { Sequelize, Transaction } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'
import type { Preferences } from './contract.ts'

type Channels = Preferences['channels']

/** Until a person chooses: what needs somebody to act is mailed, at any hour. */
const DEFAULTS: Channels = {
  email: { types: ['controller_offline', 'controller_auth_failed', 'alert_firing'], quietHours: null },
}

/** What each of these people wants by which channel. */
export async function preferencesOf(
  db: Sequelize,
  userIds: readonly string[],
  transaction?: Transaction,
): Promise<(userId: string) => Channels> {
  const found = await rows<{ userId: string; channels: Channels }>(
    db,
    `SELECT user_id AS "userId", channels FROM notification_preferences WHERE user_id = ANY($userIds::uuid[])`,
    { userIds },
    transaction,
  )
  const chosen = new Map(found.map(({ userId, channels }) => [userId, channels]))
  return (userId) => ({ ...DEFAULTS, ...chosen.get(userId) })
}

/** Stores what a person wants. */
export async function savePreferences(
  db: Sequelize,
  userId: string,
  channels: Channels,
  now: Date,
  transaction: Transaction,
): Promise<void> {
  await db.query(
    `INSERT INTO notification_preferences (user_id, channels, updated_at)
     VALUES ($userId, $channels::jsonb, $now)
     ON CONFLICT (user_id) DO UPDATE SET channels = excluded.channels, updated_at = excluded.updated_at`,
    { bind: { userId, channels: JSON.stringify(channels), now: now.toISOString() }, transaction },
  )
}
