import type { Controller } from '@wmoc/api/contracts/controllers'

/** Whether somebody with this role may share; the API asks again. */
export function maySharePage(role: Controller['role']): boolean {
  return role === 'owner' || role === 'admin'
}
