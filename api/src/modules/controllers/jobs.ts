import { z } from 'zod'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import type { Connections } from './connections.ts'

const HOUR_MS = 3_600_000
const RECONCILE_EVERY_MS = 30_000
const SESSION_HISTORY_MS = 90 * 24 * HOUR_MS

export interface ControllerUpkeep {
  /** Removes a deleted controller and all that hangs on it. */
  purgeDeleted(controllerId: string): Promise<void>
  /** Removes codes and tokens an hour after they ran out, and sessions older than 90 days. */
  purgeOld(): Promise<void>
}

/** What has to be tidied up. */
export function createControllerUpkeep(kernel: Kernel): ControllerUpkeep {
  const { db } = kernel
  return {
    async purgeDeleted(controllerId) {
      await db.transaction(async (transaction) => {
        // Years of metrics go with it, by cascade.
        await rows(db, 'SET LOCAL statement_timeout = 0', {}, transaction)
        const text = 'DELETE FROM controllers WHERE id = $controllerId AND deleted_at IS NOT NULL'
        await rows(db, text, { controllerId }, transaction)
      })
    },
    async purgeOld() {
      const now = kernel.clock().getTime()
      const before = new Date(now - HOUR_MS)
      await db.transaction(async (transaction) => {
        await rows(db, 'DELETE FROM device_claims WHERE expires_at < $before', { before }, transaction)
        const unused = await rows<{ id: string; workspaceId: string; name: string }>(
          db,
          `DELETE FROM controllers WHERE NOT is_active AND deleted_at IS NULL AND activation_expires_at < $before
             AND NOT EXISTS (SELECT FROM enrolments e WHERE e.controller_id = controllers.id)
           RETURNING id, workspace_id AS "workspaceId", name`,
          { before },
          transaction,
        )
        await kernel.events.emit(
          unused.map(({ id, workspaceId, name }) => ({
            type: 'controller.deleted',
            workspaceId,
            controllerId: id,
            name,
          })),
          transaction,
        )
        await rows(
          db,
          'DELETE FROM controller_sessions WHERE disconnected_at < $before',
          { before: new Date(now - SESSION_HISTORY_MS) },
          transaction,
        )
      })
    },
  }
}

/** Registers the background work of this module. */
export function registerControllerJobs(
  kernel: Kernel,
  upkeep: ControllerUpkeep,
  connections: Connections,
): void {
  kernel.jobs.handle('controllers.purge', z.object({ controllerId: z.uuid() }), ({ controllerId }) =>
    upkeep.purgeDeleted(controllerId),
  )
  kernel.jobs.schedule('controllers.purge-old', '7 * * * *', () => upkeep.purgeOld())
  kernel.jobs.every('controllers.reconcile', RECONCILE_EVERY_MS, async () => {
    const changed = await connections.reconcile()
    if (changed > 0) kernel.log.info('tunnel', 'set the status of controllers right by presence', { changed })
  })
}
