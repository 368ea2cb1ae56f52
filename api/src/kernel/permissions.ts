/** Role → what it may do: the one table. Pure. */
import { appError } from '@wmoc/platform/errors'
import type { Role } from '@wmoc/protocol/control-plane'
import type { Permission } from './contract.ts'

const VIEWER: readonly Permission[] = ['controllers.read', 'workspace.read']
const OPERATOR: readonly Permission[] = [...VIEWER, 'controllers.command']
const ADMIN: readonly Permission[] = [
  ...OPERATOR,
  'controllers.write',
  'controllers.delete',
  'controllers.claim',
  'workspace.manage',
]

export const ROLE_PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: VIEWER,
  operator: OPERATOR,
  admin: ADMIN,
  owner: ADMIN,
}

/** Whether the role includes the permission. */
export function roleAllows(role: Role, permission: Permission): boolean {
  return ROLE_PERMISSIONS[role].includes(permission)
}

/** The role back, or the error: `not_found` where the caller can't even see it, `forbidden` where the role lacks it. */
export function requirePermission(role: Role | null, permission: Permission): Role {
  if (role === null) throw appError('not_found')
  if (!roleAllows(role, permission)) throw appError('forbidden')
  return role
}
