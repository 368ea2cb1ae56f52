/** The part that both ways of activation share: a device becomes a workspace's controller, within the tier's limit. */
import { appError } from '@wmoc/platform/errors'
import { UniqueConstraintError } from 'sequelize'
import type { ModelStatic, Sequelize, Transaction } from 'sequelize'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { Device } from './core/device.ts'
import { columnsOf } from './model.ts'
import type { ControllerModel, ControllerRow } from './model.ts'
import { decideBinding } from './policy.ts'
import type { WorkspaceLimits } from './tier-limits.ts'

/** Rolls the transaction back and becomes the answer. */
export class Refusal extends Error {
  readonly reason: 'mac_taken' | 'limit_reached'
  constructor(reason: 'mac_taken' | 'limit_reached') {
    super(reason)
    this.reason = reason
  }
}

export interface Binding {
  /** Serialises activations of one workspace; taken after the row of the token or code, before any other. */
  lockWorkspace(workspaceId: string, transaction: Transaction): Promise<void>
  /** Throws `Refusal` when the tier has no room for one more beside `exceptId`. */
  requireRoom(workspaceId: string, exceptId: string | null, transaction: Transaction): Promise<void>
  /**
   * The controller that already has this MAC in the workspace (locked), or null when a new one may be made. One that
   * was declared and waits for its device becomes active. Throws `Refusal` when the MAC is somebody else's or the tier
   * has no room.
   */
  prepare(
    target: { workspaceId: string; device: Device; ownId: string | null },
    transaction: Transaction,
  ): Promise<ControllerRow | null>
}

/** Binding of devices to workspaces. */
export function createBinding(deps: {
  db: Sequelize
  Controller: ModelStatic<ControllerModel>
  limits: WorkspaceLimits
  clock: () => Date
}): Binding {
  const { db, limits } = deps
  const columns = columnsOf(deps.Controller)

  async function lockWorkspace(workspaceId: string, transaction: Transaction): Promise<void> {
    await rows(
      db,
      'SELECT id FROM workspaces WHERE id = $workspaceId FOR NO KEY UPDATE',
      { workspaceId },
      transaction,
    )
  }

  async function requireRoom(workspaceId: string, exceptId: string | null, transaction: Transaction) {
    const row = await firstRow<{ count: number }>(
      db,
      `SELECT count(*)::int AS count FROM controllers
       WHERE workspace_id = $workspaceId AND is_active AND deleted_at IS NULL AND id IS DISTINCT FROM $exceptId::uuid`,
      { workspaceId, exceptId },
      transaction,
    )
    const limit = (await limits.of([workspaceId], transaction)).get(workspaceId)?.controllers ?? 0
    if (row!.count >= limit) throw new Refusal('limit_reached')
  }

  function activate(id: string, transaction: Transaction): Promise<ControllerRow | null> {
    return firstRow<ControllerRow>(
      db,
      `UPDATE controllers SET is_active = true, activated_at = $now, activation_token = NULL,
         activation_expires_at = NULL, status = 'offline', status_since = $now, updated_at = $now
       WHERE id = $id RETURNING ${columns}`,
      { id, now: deps.clock() },
      transaction,
    )
  }

  return {
    lockWorkspace,
    requireRoom,
    async prepare({ workspaceId, device, ownId }, transaction) {
      await lockWorkspace(workspaceId, transaction)
      const existing =
        device.macAddress === null
          ? null
          : await firstRow<ControllerRow>(
              db,
              `SELECT ${columns} FROM controllers WHERE mac_address = $mac FOR NO KEY UPDATE`,
              { mac: device.macAddress },
              transaction,
            )
      const other = existing?.id === ownId ? null : existing
      const decision = decideBinding(other, workspaceId)
      if (decision === 'taken') throw new Refusal('mac_taken')
      if (other?.isActive) return other
      await requireRoom(workspaceId, other?.id ?? ownId, transaction)
      return other === null ? null : activate(other.id, transaction)
    },
  }
}

/** The error that a person gets for a refusal; any other error as it is. */
export function asAppError(error: unknown): unknown {
  const reason = refusalOf(error)
  if (reason === 'limit_reached') return appError('tier_limit_reached')
  return reason === 'mac_taken' ? appError('mac_taken') : error
}

/** The refusal that an error stands for; another workspace may have taken the MAC between our look and our write. */
export function refusalOf(error: unknown): Refusal['reason'] | null {
  if (error instanceof Refusal) return error.reason
  if (error instanceof UniqueConstraintError && 'mac_address' in error.fields) return 'mac_taken'
  return null
}
