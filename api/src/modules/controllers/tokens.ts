/** Activation by a token of the portal: made by a person, redeemed once by the device that is given it. */
import { randomBytes } from 'node:crypto'
import { appError } from '@wmoc/platform/errors'
import { randomToken, uuidv7 } from '@wmoc/platform/ids'
import type { ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import { cleanText } from '#src/kernel/clean-text.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { ModelStatic, Transaction } from 'sequelize'
import type { ControllerAccess } from './access.ts'
import { asAppError, refusalOf } from './binding.ts'
import type { Binding } from './binding.ts'
import type { ActivationToken } from './contract.ts'
import { cleanDevice, defaultName, UNNAMED } from './core/device.ts'
import type { Device } from './core/device.ts'
import { pageLabelFrom } from './core/user-code.ts'
import type { Records } from './credentials.ts'
import { columnsOf } from './model.ts'
import type { ControllerModel, ControllerRow } from './model.ts'
import { MAX_OPEN_TOKENS, TOKEN_TTL_MS, workspaceForClaim } from './policy.ts'
import { presentController } from './presenter.ts'
import type { DeviceSecrets } from './secrets.ts'

type Redeem = ControlPlaneOutput<'activations/redeem'>

export interface TokenActivation {
  /** A pending controller and the token that makes it active; the token is shown this once. */
  createToken(input: {
    userId: string
    name: string | undefined
    remoteAddress: string
  }): Promise<ActivationToken>
  /** Of any number of devices that bring one token, one is issued a secret. */
  redeem(input: ControlPlaneInput<'activations/redeem'>): Promise<Redeem>
}

interface Deps {
  readonly kernel: Kernel
  readonly Controller: ModelStatic<ControllerModel>
  readonly access: ControllerAccess
  readonly binding: Binding
  readonly secrets: DeviceSecrets
  readonly records: Records
}

/** Activation by token. */
export function createTokenActivation(deps: Deps): TokenActivation {
  const { kernel, binding, secrets, access } = deps
  const { db } = kernel
  const columns = columnsOf(deps.Controller)

  /** The one statement that many devices race for; whoever gets the row has the token. */
  function consume(token: string, device: Device, verifier: string, transaction: Transaction) {
    return firstRow<ControllerRow>(
      db,
      `UPDATE controllers SET is_active = true, activated_at = $now, activation_token = NULL,
         activation_expires_at = NULL, status = 'offline', status_since = $now, verifier_current = $verifier,
         firmware_version = $firmwareVersion, model = $model, device_metadata = $metadata,
         name = CASE WHEN name = $unnamed THEN $name ELSE name END, updated_at = $now
       WHERE activation_token = $hash AND NOT is_active AND activation_expires_at > $now AND deleted_at IS NULL
         AND suspended_at IS NULL AND (mac_address IS NULL OR mac_address = $mac)
       RETURNING ${columns}`,
      {
        hash: secrets.tokenHash(token),
        mac: device.macAddress,
        now: kernel.clock(),
        verifier,
        firmwareVersion: device.firmwareVersion,
        model: device.model,
        metadata: JSON.stringify(device.metadata),
        unnamed: UNNAMED,
        name: defaultName(device),
      },
      transaction,
    )
  }

  async function setMac(id: string, mac: string | null, transaction: Transaction) {
    const text = `UPDATE controllers SET mac_address = $mac WHERE id = $id RETURNING ${columns}`
    const row = await firstRow<ControllerRow>(db, text, { id, mac }, transaction)
    return row!
  }

  /** The workspace's own controller takes the new secret; the row that only carried the token goes. */
  async function renew(existing: ControllerRow, pending: ControllerRow, transaction: Transaction) {
    await rows(db, 'DELETE FROM controllers WHERE id = $id', { id: pending.id }, transaction)
    const renewed = await deps.records.install(existing.id, pending, transaction)
    const { workspaceId } = existing
    await kernel.events.emit(
      { type: 'controller.deleted', workspaceId, controllerId: pending.id, name: pending.name },
      transaction,
    )
    return renewed
  }

  async function bind(token: string, device: Device, transaction: Transaction): Promise<Redeem> {
    const { secret, verifier } = secrets.issue()
    const pending = await consume(token, device, verifier, transaction)
    if (pending === null) return { outcome: 'refused', reason: await whyRefused(token, transaction) }
    const { workspaceId, userId } = pending
    const existing = await binding.prepare({ workspaceId, device, ownId: pending.id }, transaction)
    const row =
      existing === null
        ? await setMac(pending.id, device.macAddress, transaction)
        : await renew(existing, pending, transaction)
    await kernel.events.emit(
      { type: 'controller.activated', workspaceId, controllerId: row.id, userId, name: row.name },
      transaction,
    )
    await kernel.audit.record(
      {
        workspaceId,
        actorId: userId,
        action: existing === null ? 'controller.activated' : 'controller.renewed',
        target: `controller:${row.id}`,
        after: { name: row.name, macAddress: row.macAddress, by: 'token' },
        remoteAddress: device.remoteAddress,
      },
      transaction,
    )
    kernel.notifyGateway({ type: 'controller_changed', controllerId: row.id }, transaction)
    return { outcome: 'issued', controller: await deps.records.present(row, transaction), secret }
  }

  async function whyRefused(token: string, transaction: Transaction): Promise<'expired' | 'invalid'> {
    const row = await firstRow(
      db,
      'SELECT id FROM controllers WHERE activation_token = $hash AND activation_expires_at <= $now',
      { hash: secrets.tokenHash(token), now: kernel.clock() },
      transaction,
    )
    return row === null ? 'invalid' : 'expired'
  }

  async function requireFewTokens(workspaceId: string, transaction: Transaction): Promise<void> {
    const open = await firstRow<{ count: number }>(
      db,
      `SELECT count(*)::int AS count FROM controllers
       WHERE workspace_id = $workspaceId AND NOT is_active AND activation_expires_at > $now AND deleted_at IS NULL
         AND mac_address IS NULL`,
      { workspaceId, now: kernel.clock() },
      transaction,
    )
    if (open!.count >= MAX_OPEN_TOKENS) {
      throw appError('tier_limit_reached', {
        detail: `${MAX_OPEN_TOKENS} activation tokens are still unused.`,
      })
    }
  }

  /** The row that waits for the device with this token. */
  async function createPending(row: ControllerRow, remoteAddress: string, transaction: Transaction) {
    const { workspaceId } = row
    await binding.lockWorkspace(workspaceId, transaction)
    await binding.requireRoom(workspaceId, null, transaction)
    await requireFewTokens(workspaceId, transaction)
    await deps.Controller.create(row, { transaction })
    await kernel.audit.record(
      {
        workspaceId,
        actorId: row.userId,
        action: 'controller.token_created',
        target: `controller:${row.id}`,
        remoteAddress,
      },
      transaction,
    )
  }

  return {
    async createToken({ userId, name, remoteAddress }) {
      const home = workspaceForClaim(await access.memberships(userId))
      if (home === null) throw appError('forbidden')
      const { workspaceId } = home
      const token = randomToken(32)
      const now = kernel.clock()
      const expiresAt = new Date(now.getTime() + TOKEN_TTL_MS)
      const row = pendingController({
        userId,
        workspaceId,
        name: name === undefined ? UNNAMED : cleanText(name),
        now,
        activationToken: secrets.tokenHash(token),
        expiresAt,
      })
      try {
        await db.transaction((transaction) => createPending(row, remoteAddress, transaction))
      } catch (error) {
        throw asAppError(error)
      }
      const publicUrl = kernel.config.PUBLIC_URL
      return {
        kind: 'token',
        controller: presentController(row, home.role),
        token,
        qr: `${publicUrl}/activate#token=${token}`,
        tunnelUrl: `${publicUrl.replace(/^http/, 'ws')}/tunnel`,
        expiresAt: expiresAt.toISOString(),
      }
    },

    async redeem({ token, device }) {
      try {
        return await db.transaction((transaction) => bind(token, cleanDevice(device), transaction))
      } catch (error) {
        const reason = refusalOf(error)
        if (reason === null) throw error
        return { outcome: 'refused', reason }
      }
    },
  }
}

/** Attributes of a row that nothing is known of yet but its owner. */
export function pendingController(input: {
  userId: string
  workspaceId: string
  name: string
  now: Date
  activationToken: string | null
  expiresAt: Date | null
}): ControllerRow {
  return {
    id: uuidv7(),
    userId: input.userId,
    workspaceId: input.workspaceId,
    macAddress: null,
    firmwareVersion: null,
    activationToken: input.activationToken,
    activationExpiresAt: input.expiresAt,
    isActive: false,
    activatedAt: null,
    lastSeenAt: null,
    name: input.name,
    tags: [],
    metadata: {},
    deviceMetadata: {},
    model: null,
    status: 'pending',
    statusSince: null,
    sessionEpoch: '0',
    pageLabel: pageLabelFrom(randomBytes(16)),
    accessEpoch: 1,
    pageCache: 'private',
    verifierCurrent: null,
    verifierNext: null,
    rotationPending: false,
    rotationNonce: null,
    version: 1,
    suspendedAt: null,
    deletedAt: null,
    createdAt: input.now,
    updatedAt: input.now,
  }
}
