/** A migrated database and the fewest rows that modules need, for tests of a service without the whole API. */
import { uuidv7 } from '@wmoc/platform/ids'
import { createLogger } from '@wmoc/platform/log'
import { testDatabase } from '@wmoc/testkit/postgres'
import type { Role } from '@wmoc/protocol/control-plane'
import type { Sequelize } from 'sequelize'
import { createDatabase } from '#src/kernel/db.ts'
import { createMigrator } from '#src/kernel/migrations.ts'
import { rows } from '#src/kernel/rows.ts'

export const quietLog = createLogger({ process: 'test', level: 'silent' })

export interface PlainDatabase {
  readonly url: string
  readonly db: Sequelize
  close(): Promise<void>
}

/** A fresh database with the newest schema. */
export async function openMigratedDatabase({ poolMax = 10 } = {}): Promise<PlainDatabase> {
  const { url, drop } = await testDatabase()
  const owner = createDatabase({ url, poolMax: 3, log: quietLog, statementTimeoutMs: 0 })
  await createMigrator(owner, quietLog).up()
  await owner.close()
  const db = createDatabase({ url, poolMax, log: quietLog })
  return {
    url,
    db,
    close: async () => {
      await db.close()
      await drop()
    },
  }
}

export interface PlainUser {
  readonly userId: string
  readonly workspaceId: string
  readonly email: string
}

/** A person with a workspace of their own. */
export async function insertUser(
  db: Sequelize,
  { locale = 'en', tier = 'free', verified = true } = {},
): Promise<PlainUser> {
  const user = { userId: uuidv7(), workspaceId: uuidv7(), email: `${uuidv7()}@example.test` }
  const now = new Date().toISOString()
  await db.query(
    `INSERT INTO users (id, email, locale, subscription_tier, email_verified_at, created_at, updated_at)
     VALUES ($userId, $email, $locale, $tier, $verifiedAt, $now, $now)`,
    {
      bind: { userId: user.userId, email: user.email, locale, tier, verifiedAt: verified ? now : null, now },
    },
  )
  await db.query(
    `INSERT INTO workspaces (id, name, owner_id, created_at, updated_at) VALUES ($workspaceId, 'W', $userId, $now, $now)`,
    { bind: { workspaceId: user.workspaceId, userId: user.userId, now } },
  )
  await insertMember(db, user.workspaceId, user.userId, 'owner')
  return user
}

/** Makes a person a member of a workspace. */
export async function insertMember(
  db: Sequelize,
  workspaceId: string,
  userId: string,
  role: Role,
): Promise<void> {
  await db.query(
    `INSERT INTO memberships (workspace_id, user_id, role, created_at) VALUES ($workspaceId, $userId, $role, $now)`,
    { bind: { workspaceId, userId, role, now: new Date().toISOString() } },
  )
}

/** Active controllers of a person; answers their ids. */
export async function insertControllers(
  db: Sequelize,
  owner: PlainUser,
  count: number,
  { name = 'Controller', isActive = true } = {},
): Promise<string[]> {
  const ids = Array.from({ length: count }, () => uuidv7())
  await rows(
    db,
    `INSERT INTO controllers (id, user_id, workspace_id, name, page_label, is_active, created_at, updated_at)
     SELECT id, $userId, $workspaceId, $name, right(md5(id::text), 16), $isActive, now(), now()
     FROM unnest($ids::uuid[]) AS u (id)`,
    { ids, userId: owner.userId, workspaceId: owner.workspaceId, name, isActive },
  )
  return ids
}
