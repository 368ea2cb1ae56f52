import { ROLES } from '@wmoc/protocol/control-plane'
import type { Sequelize, Transaction } from 'sequelize'
import type { Permission } from '#src/kernel/contract.ts'
import { roleAllows } from '#src/kernel/permissions.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { Person } from './channel.ts'

const PERSON = `u.id AS "userId", u.email, u.email_verified_at IS NOT NULL AS "emailVerified", u.locale`

export interface Audience {
  /** Members of a workspace whose role includes the permission. */
  ofWorkspace(workspaceId: string, permission: Permission, transaction: Transaction): Promise<Person[]>
  person(userId: string, transaction?: Transaction): Promise<Person | null>
  /** What the controller is called now; null when it was deleted. */
  controllerName(controllerId: string, transaction: Transaction): Promise<string | null>
  command(commandId: string, transaction: Transaction): Promise<{ name: string; error: string | null } | null>
}

/** What other modules know of what is told. */
export type Sources = Pick<Audience, 'controllerName' | 'command'>

/** Who is told, and of what. */
export function createAudience(db: Sequelize, sources: Sources): Audience {
  return {
    ofWorkspace: (workspaceId, permission, transaction) =>
      rows<Person>(
        db,
        `SELECT ${PERSON} FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.workspace_id = $workspaceId AND m.role = ANY($roles::text[]) ORDER BY u.id`,
        { workspaceId, roles: ROLES.filter((role) => roleAllows(role, permission)) },
        transaction,
      ),
    person: (userId, transaction) =>
      firstRow<Person>(db, `SELECT ${PERSON} FROM users u WHERE u.id = $userId`, { userId }, transaction),
    ...sources,
  }
}
