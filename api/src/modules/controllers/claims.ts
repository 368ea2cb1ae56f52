/**
 * Activation by a code that the device shows (the shape of RFC 8628): opened by the device, confirmed by a signed-in
 * person, collected once by the device.
 */
import { randomBytes } from 'node:crypto'
import { limitKeyOfAddress } from '@wmoc/platform/client-address'
import { appError } from '@wmoc/platform/errors'
import { randomToken, safeEqual, sha256Hex, uuidv7 } from '@wmoc/platform/ids'
import type { ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import type { ModelStatic, Transaction } from 'sequelize'
import { cleanText } from '#src/kernel/clean-text.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { ControllerAccess } from './access.ts'
import { asAppError } from './binding.ts'
import type { Binding } from './binding.ts'
import type { ClaimPreview, Controller } from './contract.ts'
import { cleanDevice, defaultName, macTail } from './core/device.ts'
import type { Device } from './core/device.ts'
import { formatUserCode, userCodeFrom } from './core/user-code.ts'
import type { Records } from './credentials.ts'
import { columnsOf } from './model.ts'
import type { ControllerModel, ControllerRow, DeviceClaimModel, DeviceClaimRow } from './model.ts'
import {
  CODE_TTL_MS,
  MAX_CODE_TRIES,
  MAX_LIVE_CODES,
  MAX_WRONG_CODES,
  workspaceForClaim,
  WRONG_CODES_WINDOW_MS,
} from './policy.ts'
import { presentController } from './presenter.ts'
import type { DeviceSecrets } from './secrets.ts'
import { pendingController } from './tokens.ts'

export interface Claimant {
  readonly userId: string
  readonly remoteAddress: string
}

export interface CodeActivation {
  open(input: ControlPlaneInput<'activations/open'>): Promise<ControlPlaneOutput<'activations/open'>>
  /** What device shows the code. `code_invalid` for wrong, expired, used and worn-out codes alike. */
  preview(code: string, claimant: Claimant): Promise<ClaimPreview>
  /** The device with this code becomes the person's. */
  confirm(code: string, name: string | undefined, claimant: Claimant): Promise<Controller>
  collect(input: ControlPlaneInput<'activations/collect'>): Promise<ControlPlaneOutput<'activations/collect'>>
}

/** Codes that one address (IPv6: one /64) may open: 60 at once, 60 in ten minutes. */
const OPEN_RULE = { burst: 60, count: 60, periodMs: CODE_TTL_MS }

const GUESS_LOCK_MS = 5_000

/** Counters of wrong codes: by person and by address. */
function wrongKeys(claimant: Claimant): string[] {
  return [
    `claim:wrong:user:${claimant.userId}`,
    `claim:wrong:address:${limitKeyOfAddress(claimant.remoteAddress)}`,
  ]
}

/** Activation by code. */
export function createCodeActivation(deps: {
  kernel: Kernel
  Controller: ModelStatic<ControllerModel>
  DeviceClaim: ModelStatic<DeviceClaimModel>
  access: ControllerAccess
  binding: Binding
  secrets: DeviceSecrets
  records: Records
}): CodeActivation {
  const { kernel, secrets, access, binding } = deps
  const { db, store } = kernel
  const columns = columnsOf(deps.Controller)
  const claimColumns = columnsOf(deps.DeviceClaim)

  /** A claim with a code nobody else has; null when the installation is full of codes. */
  async function insertClaim(
    device: Device,
    claimSecret: string,
  ): Promise<{ id: string; code: string } | null> {
    const now = kernel.clock()
    for (let attempt = 0; attempt < 3; attempt++) {
      const code = userCodeFrom(randomBytes(32))
      if (code === null) continue
      const inserted = await db.transaction((transaction) =>
        firstRow<{ id: string }>(
          db,
          `INSERT INTO device_claims (id, code_hash, claim_secret_hash, mac_address, firmware_version, model,
             device_metadata, remote_address, expires_at, created_at)
           SELECT $id, $codeHash, $claimSecretHash, $mac, $firmwareVersion, $model, $metadata::jsonb, $remoteAddress,
             $expiresAt::timestamptz, $now::timestamptz
           WHERE (SELECT count(*) FROM device_claims WHERE expires_at > $now AND confirmed_at IS NULL) < $maxLive
           ON CONFLICT (code_hash) DO NOTHING RETURNING id`,
          {
            id: uuidv7(),
            codeHash: secrets.codeHash(code),
            claimSecretHash: sha256Hex(claimSecret),
            mac: device.macAddress,
            firmwareVersion: device.firmwareVersion,
            model: device.model,
            metadata: JSON.stringify(device.metadata),
            remoteAddress: device.remoteAddress,
            expiresAt: new Date(now.getTime() + CODE_TTL_MS),
            now,
            maxLive: MAX_LIVE_CODES,
          },
          transaction,
        ),
      )
      if (inserted !== null) return { id: inserted.id, code }
    }
    return null
  }

  /** Refuses who has guessed too often; fails closed when the store is away. */
  async function requireGuessesLeft(claimant: Claimant): Promise<void> {
    const counts = await Promise.all(wrongKeys(claimant).map((key) => store.get(key)))
    if (counts.some((count) => Number(count ?? 0) >= MAX_WRONG_CODES)) {
      throw appError('rate_limited', {
        detail: 'Too many wrong codes.',
        retryAfterMs: WRONG_CODES_WINDOW_MS,
      })
    }
  }

  /** One guess of a person at a time: many at once would all be answered before the first is counted. */
  async function oneAtATime<T>(userId: string, task: () => Promise<T>): Promise<T> {
    const key = `claim:guessing:${userId}`
    if (!(await store.set(key, '1', { ttlMs: GUESS_LOCK_MS, ifAbsent: true }))) {
      throw appError('rate_limited', { retryAfterMs: 1_000 })
    }
    try {
      return await task()
    } finally {
      await store.delete(key).catch(() => 0)
    }
  }

  /** The live claim behind a code, counting who looks at it. */
  function look(code: string, claimant: Claimant): Promise<DeviceClaimRow> {
    return oneAtATime(claimant.userId, async () => {
      await requireGuessesLeft(claimant)
      const claim = await countTry(code, claimant.userId)
      if (claim !== null) return claim
      await Promise.all(wrongKeys(claimant).map((key) => store.increment(key, WRONG_CODES_WINDOW_MS)))
      throw appError('code_invalid')
    })
  }

  function countTry(code: string, userId: string): Promise<DeviceClaimRow | null> {
    return db.transaction((transaction) =>
      firstRow<DeviceClaimRow>(
        db,
        `UPDATE device_claims SET last_tried_by = $userId,
           tries = tries + CASE WHEN last_tried_by = $userId THEN 0 ELSE 1 END
         WHERE code_hash = $codeHash AND expires_at > $now AND confirmed_at IS NULL
           AND (tries < $maxTries OR last_tried_by = $userId)
         RETURNING ${claimColumns}`,
        { userId, codeHash: secrets.codeHash(code), now: kernel.clock(), maxTries: MAX_CODE_TRIES },
        transaction,
      ),
    )
  }

  async function lockClaim(id: string, transaction: Transaction): Promise<DeviceClaimRow | null> {
    const text = `SELECT ${claimColumns} FROM device_claims WHERE id = $id FOR UPDATE`
    return firstRow<DeviceClaimRow>(db, text, { id }, transaction)
  }

  /** A controller of its own for the device, or the one it was before its factory reset. */
  async function controllerFor(
    claim: DeviceClaimRow,
    target: { workspaceId: string; userId: string; name: string | undefined },
    transaction: Transaction,
  ): Promise<ControllerRow> {
    const device: Device = { ...claim, metadata: claim.deviceMetadata }
    const existing = await binding.prepare(
      { workspaceId: target.workspaceId, device, ownId: null },
      transaction,
    )
    const now = kernel.clock()
    if (existing !== null) {
      const renamed = await firstRow<ControllerRow>(
        db,
        `UPDATE controllers SET name = coalesce($name, name), updated_at = $now
         WHERE id = $id RETURNING ${columns}`,
        { id: existing.id, name: target.name ?? null, now },
        transaction,
      )
      return renamed!
    }
    const created = await deps.Controller.create(
      {
        ...pendingController({
          userId: target.userId,
          workspaceId: target.workspaceId,
          name: target.name ?? defaultName(device),
          now,
          activationToken: null,
          expiresAt: null,
        }),
        isActive: true,
        activatedAt: now,
        status: 'offline',
        statusSince: now,
        macAddress: claim.macAddress,
        firmwareVersion: claim.firmwareVersion,
        model: claim.model,
        deviceMetadata: claim.deviceMetadata,
      },
      { transaction },
    )
    return created.get()
  }

  async function confirmIn(
    claimId: string,
    target: { workspaceId: string; userId: string; name: string | undefined; remoteAddress: string },
    transaction: Transaction,
  ): Promise<ControllerRow> {
    const claim = await lockClaim(claimId, transaction)
    const now = kernel.clock()
    if (claim === null || claim.confirmedAt !== null || claim.expiresAt <= now) throw appError('code_invalid')
    const row = await controllerFor(claim, target, transaction)
    await rows(
      db,
      `UPDATE device_claims SET confirmed_by = $userId, confirmed_at = $now, controller_id = $controllerId,
         expires_at = $collectUntil WHERE id = $claimId`,
      {
        claimId,
        userId: target.userId,
        now,
        controllerId: row.id,
        collectUntil: new Date(now.getTime() + CODE_TTL_MS),
      },
      transaction,
    )
    const { workspaceId, userId } = target
    await kernel.events.emit(
      { type: 'controller.activated', workspaceId, controllerId: row.id, userId, name: row.name },
      transaction,
    )
    await kernel.audit.record(
      {
        workspaceId,
        actorId: userId,
        action: 'controller.claimed',
        target: `controller:${row.id}`,
        after: { name: row.name, macAddress: row.macAddress, by: 'code' },
        remoteAddress: target.remoteAddress,
      },
      transaction,
    )
    kernel.notifyGateway({ type: 'claim_confirmed', claimId }, transaction)
    return row
  }

  /** The claim's secret, made and handed out in this one transaction. */
  async function issue(
    claimId: string,
    transaction: Transaction,
  ): Promise<ControlPlaneOutput<'activations/collect'>> {
    const claim = await lockClaim(claimId, transaction)
    if (claim === null || claim.collectedAt !== null || claim.controllerId === null)
      return { outcome: 'gone' }
    await rows(
      db,
      'UPDATE device_claims SET collected_at = $now WHERE id = $claimId',
      { claimId, now: kernel.clock() },
      transaction,
    )
    const alive = await firstRow(
      db,
      'SELECT id FROM controllers WHERE id = $id AND deleted_at IS NULL FOR NO KEY UPDATE',
      { id: claim.controllerId },
      transaction,
    )
    if (alive === null) return { outcome: 'gone' }
    const { secret, verifier } = secrets.issue()
    const row = await deps.records.install(
      claim.controllerId,
      { ...claim, verifierCurrent: verifier },
      transaction,
    )
    return { outcome: 'issued', controller: await deps.records.present(row, transaction), secret }
  }

  return {
    async open({ device }) {
      const clean = cleanDevice(device)
      const rate = await store.limit(`claim:open:${limitKeyOfAddress(clean.remoteAddress)}`, OPEN_RULE)
      if (!rate.allowed) return { outcome: 'refused', reason: 'busy' }
      const claimSecret = randomToken(32)
      const claim = await insertClaim(clean, claimSecret)
      if (claim === null) return { outcome: 'refused', reason: 'busy' }
      const userCode = formatUserCode(claim.code)
      const verificationUri = `${kernel.config.PUBLIC_URL}/activate`
      return {
        outcome: 'opened',
        claimId: claim.id,
        claimSecret,
        userCode,
        verificationUri,
        verificationUriComplete: `${verificationUri}#${userCode}`,
        expiresAt: kernel.clock().getTime() + CODE_TTL_MS,
      }
    },

    async preview(code, claimant) {
      if (workspaceForClaim(await access.memberships(claimant.userId)) === null) throw appError('forbidden')
      const claim = await look(code, claimant)
      return {
        model: claim.model,
        firmwareVersion: claim.firmwareVersion,
        macTail: macTail(claim.macAddress),
        samePublicAddress:
          limitKeyOfAddress(claim.remoteAddress) === limitKeyOfAddress(claimant.remoteAddress),
        expiresAt: claim.expiresAt.toISOString(),
      }
    },

    async confirm(code, name, claimant) {
      const home = workspaceForClaim(await access.memberships(claimant.userId))
      if (home === null) throw appError('forbidden')
      const claim = await look(code, claimant)
      try {
        const target = { ...claimant, workspaceId: home.workspaceId, name: name && cleanText(name) }
        const row = await db.transaction((transaction) => confirmIn(claim.id, target, transaction))
        return presentController(row, home.role)
      } catch (error) {
        throw asAppError(error)
      }
    },

    async collect({ claimId, claimSecret }) {
      const claim = await firstRow<DeviceClaimRow>(
        db,
        `SELECT ${claimColumns} FROM device_claims WHERE id = $claimId`,
        { claimId },
      )
      if (claim === null || !safeEqual(sha256Hex(claimSecret), claim.claimSecretHash))
        return { outcome: 'gone' }
      if (claim.expiresAt <= kernel.clock()) return { outcome: 'gone' }
      if (claim.confirmedAt === null) return { outcome: 'waiting' }
      return db.transaction((transaction) => issue(claimId, transaction))
    },
  }
}
