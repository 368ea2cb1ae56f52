/** What the portal offers to whom; the API asks again. Pure. */
import type { Controller } from '@wmoc/api/contracts/controllers'

/** Whether somebody with this role may share, rename, rotate and delete. */
export function mayManage(role: Controller['role']): boolean {
  return role === 'owner' || role === 'admin'
}

/** Whether somebody with this role may send commands. */
export function mayCommand(role: Controller['role']): boolean {
  return role !== 'viewer'
}
