/** What the gateway knows of a controller, and its secrets: two slots, so that no power cut locks a device out. */
import { appError } from '@wmoc/platform/errors'
import { randomToken } from '@wmoc/platform/ids'
import type { ControllerRecord, ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import type { ModelStatic, Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { columnsOf } from './model.ts'
import type { ControllerModel, ControllerRow } from './model.ts'
import { presentRecord } from './presenter.ts'
import type { DeviceSecrets } from './secrets.ts'
import type { WorkspaceLimits } from './tier-limits.ts'

/** What a controller takes over from the device that was just activated. */
export type Installed = Pick<
  ControllerRow,
  'verifierCurrent' | 'firmwareVersion' | 'model' | 'deviceMetadata'
>

export interface Records {
  present(row: ControllerRow, transaction?: Transaction): Promise<ControllerRecord>
  lookup(input: ControlPlaneInput<'controllers/lookup'>): Promise<ControlPlaneOutput<'controllers/lookup'>>
  /** A new current secret; whatever was accepted before no longer is, and page cookies end. */
  install(controllerId: string, device: Installed, transaction: Transaction): Promise<ControllerRow>
  /** Opens a rotation; one that is open already goes on. Null: no such controller. */
  rotate(controllerId: string, transaction: Transaction): Promise<ControllerRow | null>
  /** The next secret of an open rotation; asked again it is the same one. */
  issue(controllerId: string): Promise<ControlPlaneOutput<'credentials/issue'>>
  /** Ends the rotation if `verifier` is the next slot's; otherwise changes nothing. 404 for an unknown id. */
  promote(controllerId: string, verifier: string): Promise<ControlPlaneOutput<'credentials/promote'>>
}

/** Records and credentials of controllers. */
export function createRecords(deps: {
  kernel: Kernel
  Controller: ModelStatic<ControllerModel>
  secrets: DeviceSecrets
  limits: WorkspaceLimits
}): Records {
  const { kernel, secrets } = deps
  const { db } = kernel
  const columns = columnsOf(deps.Controller)

  async function present(row: ControllerRow, transaction?: Transaction): Promise<ControllerRecord> {
    const limits = await deps.limits.of([row.workspaceId], transaction)
    return presentRecord(row, limits.get(row.workspaceId)!.requestsPerMinute)
  }

  function lock(controllerId: string, transaction: Transaction) {
    return firstRow<ControllerRow>(
      db,
      `SELECT ${columns} FROM controllers WHERE id = $controllerId AND is_active AND deleted_at IS NULL
       FOR NO KEY UPDATE`,
      { controllerId },
      transaction,
    )
  }

  return {
    present,

    async lookup({ ids, labels }) {
      const found = await rows<ControllerRow>(
        db,
        `SELECT ${columns} FROM controllers
         WHERE (id = ANY($ids::uuid[]) OR page_label = ANY($labels::text[]))
           AND (is_active OR deleted_at IS NOT NULL)`,
        { ids, labels },
      )
      const limits = await deps.limits.of([...new Set(found.map((row) => row.workspaceId))])
      return {
        controllers: found.map((row) => presentRecord(row, limits.get(row.workspaceId)!.requestsPerMinute)),
      }
    },

    async install(controllerId, device, transaction) {
      const row = await firstRow<ControllerRow>(
        db,
        `UPDATE controllers SET verifier_current = $verifier, verifier_next = NULL, rotation_pending = false,
           rotation_nonce = NULL, access_epoch = access_epoch + 1, firmware_version = $firmwareVersion,
           model = $model, device_metadata = $metadata, updated_at = $now
         WHERE id = $controllerId AND is_active AND deleted_at IS NULL RETURNING ${columns}`,
        {
          controllerId,
          verifier: device.verifierCurrent,
          firmwareVersion: device.firmwareVersion,
          model: device.model,
          metadata: JSON.stringify(device.deviceMetadata),
          now: kernel.clock(),
        },
        transaction,
      )
      if (row === null) throw appError('not_found')
      kernel.notifyGateway({ type: 'controller_changed', controllerId }, transaction)
      return row
    },

    rotate(controllerId, transaction) {
      kernel.notifyGateway({ type: 'controller_changed', controllerId }, transaction)
      return firstRow<ControllerRow>(
        db,
        `UPDATE controllers SET rotation_pending = true, rotation_nonce = coalesce(rotation_nonce, $nonce)
         WHERE id = $controllerId AND deleted_at IS NULL RETURNING ${columns}`,
        { controllerId, nonce: randomToken(32) },
        transaction,
      )
    },

    issue(controllerId) {
      return db.transaction(async (transaction) => {
        const row = await lock(controllerId, transaction)
        if (!row?.rotationPending || row.rotationNonce === null) return { outcome: 'not_pending' }
        const { secret, verifier } = secrets.rotated(controllerId, row.rotationNonce)
        await rows(
          db,
          'UPDATE controllers SET verifier_next = $verifier WHERE id = $controllerId',
          { controllerId, verifier },
          transaction,
        )
        return {
          outcome: 'issued',
          controller: await present({ ...row, verifierNext: verifier }, transaction),
          secret,
        }
      })
    },

    promote(controllerId, verifier) {
      return db.transaction(async (transaction) => {
        const row = await lock(controllerId, transaction)
        if (row === null) throw appError('not_found')
        if (row.verifierNext !== verifier) return { controller: await present(row, transaction) }
        const promoted = await firstRow<ControllerRow>(
          db,
          `UPDATE controllers SET verifier_current = verifier_next, verifier_next = NULL,
             rotation_pending = false, rotation_nonce = NULL WHERE id = $controllerId RETURNING ${columns}`,
          { controllerId },
          transaction,
        )
        await kernel.audit.record(
          {
            workspaceId: row.workspaceId,
            actorId: null,
            action: 'controller.rotated',
            target: `controller:${controllerId}`,
          },
          transaction,
        )
        await kernel.events.emit(
          { type: 'controller.updated', workspaceId: row.workspaceId, controllerId },
          transaction,
        )
        kernel.notifyGateway({ type: 'controller_changed', controllerId }, transaction)
        return { controller: await present(promoted!, transaction) }
      })
    },
  }
}
