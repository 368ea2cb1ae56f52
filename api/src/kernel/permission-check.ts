/** The permission a route names is asked for here, before its handler runs: no module can forget it. */
import { appError } from '@wmoc/platform/errors'
import type { Role } from '@wmoc/protocol/control-plane'
import type { RouteDescription } from './contract.ts'
import type { AccessChecker } from './module.ts'
import { requirePermission, roleAllows } from './permissions.ts'

/** Whose permission counts for what stands below a path. */
const OWNERS: readonly (readonly [
  prefix: string,
  role: (access: AccessChecker, userId: string, id: string) => Promise<Role | null>,
])[] = [
  ['/api/controllers/:id', (access, userId, id) => access.roleOnController(userId, id)],
  ['/api/workspaces/:id', (access, userId, id) => access.roleInWorkspace(userId, id)],
]

/** Passes, or throws `not_found` for what the person can't see and `forbidden` where the role lacks the permission. */
export type PermissionCheck = (userId: string, params: Readonly<Record<string, string>>) => Promise<void>

/**
 * The check of a route. Below an owner of `OWNERS` the person's role there decides, and the route must name a
 * permission; on a collection one workspace where the role allows it is enough, and the service picks the rows. Throws
 * at once for a route whose permission could not be checked.
 */
export function permissionCheck(id: string, route: RouteDescription, access: AccessChecker): PermissionCheck {
  const { access: permission, path } = route
  const owner = OWNERS.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`))
  if (permission === 'public' || permission === 'user') {
    if (owner) throw new Error(`${id} stands below ${owner[0]} and names no permission`)
    return async () => {}
  }
  if (owner) {
    const roleOf = owner[1]
    return async (userId, params) => {
      requirePermission(await roleOf(access, userId, params['id'] ?? ''), permission)
    }
  }
  if (path.includes('/:')) throw new Error(`${id} names a permission, and nobody knows the owner of ${path}`)
  return async (userId) => {
    const memberships = await access.memberships(userId)
    if (!memberships.some(({ role }) => roleAllows(role, permission))) throw appError('forbidden')
  }
}
