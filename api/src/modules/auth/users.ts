/** People and their workspaces. */
import { uuidv7 } from '@wmoc/platform/ids'
import type { Role } from '@wmoc/protocol/control-plane'
import type { Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { Locale } from '#src/kernel/schemas.ts'
import { effectiveTier, TIER_LIMITS } from '#src/kernel/tiers.ts'
import type { Me, Tier } from './contract.ts'

export interface UserRow {
  readonly id: string
  readonly email: string
  readonly passwordHash: string | null
  readonly name: string
  readonly locale: Locale
  readonly theme: Me['theme']
  readonly emailVerifiedAt: Date | null
  readonly tier: Tier
  readonly tierExpiresAt: Date | null
  readonly createdAt: Date
}

export interface NewUser {
  readonly email: string
  readonly passwordHash: string | null
  readonly name: string
  readonly locale: Locale
  readonly emailVerified?: boolean
  readonly tier?: Tier
}

export interface Users {
  byEmail(email: string): Promise<UserRow | null>
  byId(id: string, transaction?: Transaction): Promise<UserRow | null>
  /** The person with a personal workspace, or null when the e-mail is taken. */
  create(user: NewUser, transaction: Transaction): Promise<{ userId: string; workspaceId: string } | null>
  update(
    id: string,
    change: Partial<Pick<UserRow, 'name' | 'locale' | 'theme' | 'passwordHash'>>,
    transaction?: Transaction,
  ): Promise<void>
  markVerified(id: string, transaction: Transaction): Promise<void>
  workspaces(id: string): Promise<{ id: string; name: string; role: Role }[]>
}

const COLUMNS = `id, email, password_hash AS "passwordHash", name, locale, theme,
  email_verified_at AS "emailVerifiedAt", subscription_tier AS tier, subscription_expires_at AS "tierExpiresAt",
  created_at AS "createdAt"`

export function createUsers({
  db,
  clock,
  events,
  audit,
}: Pick<Kernel, 'db' | 'clock' | 'events' | 'audit'>): Users {
  async function insertWorkspace(userId: string, name: string, transaction: Transaction): Promise<string> {
    const workspaceId = uuidv7()
    await rows(
      db,
      `WITH workspace AS (
         INSERT INTO workspaces (id, name, owner_id, created_at, updated_at)
         VALUES ($workspaceId, $name, $userId, $now, $now) RETURNING id
       )
       INSERT INTO memberships (workspace_id, user_id, role, created_at)
       SELECT id, $userId::uuid, 'owner', $now::timestamptz FROM workspace`,
      { workspaceId, name, userId, now: clock() },
      transaction,
    )
    return workspaceId
  }

  return {
    byEmail: (email) => firstRow<UserRow>(db, `SELECT ${COLUMNS} FROM users WHERE email = $email`, { email }),
    byId: (id, transaction) =>
      firstRow<UserRow>(db, `SELECT ${COLUMNS} FROM users WHERE id = $id`, { id }, transaction),
    async create(user, transaction) {
      const userId = uuidv7()
      const inserted = await rows(
        db,
        `INSERT INTO users (id, email, password_hash, name, locale, email_verified_at, subscription_tier,
           created_at, updated_at)
         VALUES ($userId, $email, $passwordHash, $name, $locale, $verifiedAt, $tier, $now, $now)
         ON CONFLICT (email) DO NOTHING RETURNING id`,
        {
          userId,
          email: user.email,
          passwordHash: user.passwordHash,
          name: user.name,
          locale: user.locale,
          verifiedAt: user.emailVerified === true ? clock() : null,
          tier: user.tier ?? 'free',
          now: clock(),
        },
        transaction,
      )
      if (inserted.length === 0) return null
      const workspaceId = await insertWorkspace(
        userId,
        user.name || user.email.split('@', 1)[0]!.slice(0, 100),
        transaction,
      )
      await events.emit({ type: 'user.registered', workspaceId, userId }, transaction)
      await audit.record(
        { workspaceId, actorId: userId, action: 'user.registered', target: `user ${userId}` },
        transaction,
      )
      return { userId, workspaceId }
    },
    async update(id, change, transaction) {
      await rows(
        db,
        `UPDATE users SET name = coalesce($name, name), locale = coalesce($locale, locale),
           theme = coalesce($theme, theme), password_hash = coalesce($passwordHash, password_hash), updated_at = $now
         WHERE id = $id RETURNING id`,
        {
          id,
          name: change.name ?? null,
          locale: change.locale ?? null,
          theme: change.theme ?? null,
          passwordHash: change.passwordHash ?? null,
          now: clock(),
        },
        transaction ?? undefined,
      )
    },
    async markVerified(id, transaction) {
      await rows(
        db,
        'UPDATE users SET email_verified_at = coalesce(email_verified_at, $now), updated_at = $now WHERE id = $id',
        { id, now: clock() },
        transaction,
      )
    },
    workspaces: (id) =>
      rows<{ id: string; name: string; role: Role }>(
        db,
        `SELECT w.id, w.name, m.role FROM memberships m JOIN workspaces w ON w.id = m.workspace_id
         WHERE m.user_id = $id ORDER BY w.created_at, w.id`,
        { id },
      ),
  }
}

/** What a person is shown of themselves. */
export function presentMe(
  user: UserRow,
  about: { workspaces: Me['workspaces']; controllers: number; sessionId: string; now: Date },
): Me {
  const tier = effectiveTier(user.tier, user.tierExpiresAt, about.now)
  return {
    id: user.id,
    email: user.email,
    emailVerified: user.emailVerifiedAt !== null,
    name: user.name,
    locale: user.locale,
    theme: user.theme,
    tier,
    tierExpiresAt: user.tierExpiresAt?.toISOString() ?? null,
    limits: { ...TIER_LIMITS[tier] },
    usage: { controllers: about.controllers },
    workspaces: about.workspaces,
    sessionId: about.sessionId,
    createdAt: user.createdAt.toISOString(),
  }
}
