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
      const row = await firstRow<{ role: Role }>(
        db,
        `SELECT m.role FROM controllers c
         JOIN controller_roles m ON m.controller_id = c.id AND m.user_id = $userId
         WHERE c.id = $controllerId AND c.deleted_at IS NULL`,
        { userId, controllerId },
      )
      return row?.role ?? null
    },

    async rolesOnControllers(checks) {
      if (checks.length === 0) return []
      const found = await rows<{ role: Role | null }>(
        db,
        `SELECT m.role FROM unnest($userIds::uuid[], $controllerIds::uuid[])
           WITH ORDINALITY AS ask (user_id, controller_id, position)
         LEFT JOIN controllers c ON c.id = ask.controller_id AND c.deleted_at IS NULL
         LEFT JOIN controller_roles m ON m.controller_id = c.id AND m.user_id = ask.user_id
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
