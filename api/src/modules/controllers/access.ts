/** Who may see what: one query each, over the memberships of workspaces. */
import type { Role } from '@wmoc/protocol/control-plane'
import type { Sequelize } from 'sequelize'
import type { AccessChecker, Membership } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'

export interface ControllerAccess extends AccessChecker {
  /** One answer per question, in order; null: not visible. */
  rolesOnControllers(
    checks: readonly { readonly userId: string; readonly controllerId: string }[],
  ): Promise<(Role | null)[]>
}

/**
 * A person's role on a controller `c`: that in its workspace, else viewer where it is shared with them, else null. The
 * joins it is read from; `user` is a bind or a column.
 */
export const ROLE = `coalesce(m.role, CASE WHEN s.user_id IS NOT NULL THEN 'viewer' END)`
export function roleJoins(user: string): string {
  return `LEFT JOIN memberships m ON m.workspace_id = c.workspace_id AND m.user_id = ${user}
    LEFT JOIN controller_shares s ON s.controller_id = c.id AND s.user_id = ${user}`
}

/**
 * Every controller that `$userId` may see, with the role, as a table: two ways to it, so that each goes by its index
 * however many controllers others have.
 */
export const VISIBLE = `(
  SELECT c.*, m.role FROM memberships m JOIN controllers c ON c.workspace_id = m.workspace_id WHERE m.user_id = $userId
  UNION ALL
  SELECT c.*, 'viewer' FROM controller_shares s JOIN controllers c ON c.id = s.controller_id
  WHERE s.user_id = $userId AND NOT EXISTS (
    SELECT FROM memberships m WHERE m.workspace_id = c.workspace_id AND m.user_id = $userId))`

/** Answers questions of access from the database. */
export function createControllerAccess(db: Sequelize): ControllerAccess {
  return {
    async roleInWorkspace(userId, workspaceId) {
      const row = await firstRow<{ role: Role }>(
        db,
        'SELECT role FROM memberships WHERE user_id = $userId AND workspace_id = $workspaceId',
        { userId, workspaceId },
      )
      return row?.role ?? null
    },

    async roleOnController(userId, controllerId) {
      const row = await firstRow<{ role: Role | null }>(
        db,
        `SELECT ${ROLE} AS role FROM controllers c
         ${roleJoins('$userId')}
         WHERE c.id = $controllerId AND c.deleted_at IS NULL`,
        { userId, controllerId },
      )
      return row?.role ?? null
    },

    async rolesOnControllers(checks) {
      if (checks.length === 0) return []
      const found = await rows<{ role: Role | null }>(
        db,
        `SELECT ${ROLE} AS role FROM unnest($userIds::uuid[], $controllerIds::uuid[])
           WITH ORDINALITY AS ask (user_id, controller_id, position)
         LEFT JOIN controllers c ON c.id = ask.controller_id AND c.deleted_at IS NULL
         ${roleJoins('ask.user_id')}
         ORDER BY ask.position`,
        {
          userIds: checks.map((check) => check.userId),
          controllerIds: checks.map((check) => check.controllerId),
        },
      )
      return found.map((row) => row.role)
    },

    memberships(userId, transaction) {
      return rows<Membership>(
        db,
        `SELECT workspace_id AS "workspaceId", role FROM memberships
         WHERE user_id = $userId ORDER BY created_at, workspace_id`,
        { userId },
        transaction,
      )
    },
  }
}
