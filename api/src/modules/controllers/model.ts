/** Tables of this module as Sequelize models, and the rows as the services read them. */
import type { PageCacheMode } from '@wmoc/protocol/control-plane'
import { DataTypes, Model } from 'sequelize'
import type { InferAttributes, ModelStatic, Sequelize } from 'sequelize'
import type { Json } from '#src/kernel/clean-text.ts'

export class ControllerModel extends Model<InferAttributes<ControllerModel>> {
  declare id: string
  declare userId: string
  declare workspaceId: string
  declare macAddress: string | null
  declare firmwareVersion: string | null
  /** SHA-256 of the token; null once used. */
  declare activationToken: string | null
  declare activationExpiresAt: Date | null
  declare isActive: boolean
  declare activatedAt: Date | null
  declare lastSeenAt: Date | null
  declare name: string
  declare tags: string[]
  declare metadata: Record<string, Json>
  declare deviceMetadata: Record<string, Json>
  declare model: string | null
  declare status: 'pending' | 'online' | 'offline'
  declare statusSince: Date | null
  /** bigint: arrives as text. */
  declare sessionEpoch: string
  declare pageLabel: string
  declare accessEpoch: number
  declare pageCache: PageCacheMode
  /** Hex HMAC-SHA-256(DEVICE_CREDENTIAL_KEY, secret). */
  declare verifierCurrent: string | null
  declare verifierNext: string | null
  declare rotationPending: boolean
  /** What the next secret is derived from, together with the key. */
  declare rotationNonce: string | null
  declare version: number
  /** Kept out by who declared it. */
  declare suspendedAt: Date | null
  declare deletedAt: Date | null
  declare createdAt: Date
  declare updatedAt: Date
}

export class DeviceClaimModel extends Model<InferAttributes<DeviceClaimModel>> {
  declare id: string
  declare codeHash: string
  declare claimSecretHash: string
  declare macAddress: string | null
  declare firmwareVersion: string | null
  declare model: string | null
  declare deviceMetadata: Record<string, Json>
  declare remoteAddress: string
  declare tries: number
  declare lastTriedBy: string | null
  declare expiresAt: Date
  declare confirmedBy: string | null
  declare confirmedAt: Date | null
  declare controllerId: string | null
  declare collectedAt: Date | null
  declare createdAt: Date
}

export class ControllerSessionModel extends Model<InferAttributes<ControllerSessionModel>> {
  declare id: string
  declare controllerId: string
  declare websocketId: string
  declare connectedAt: Date
  declare disconnectedAt: Date | null
  declare epoch: string
  declare shard: string
  declare remoteAddress: string | null
  declare firmwareVersion: string | null
  declare reason: string | null
}

export type ControllerRow = InferAttributes<ControllerModel>
export type DeviceClaimRow = InferAttributes<DeviceClaimModel>

const required = { allowNull: false }

/** Binds the models of this module to a database. */
export function defineControllerModels(db: Sequelize): {
  Controller: ModelStatic<ControllerModel>
  DeviceClaim: ModelStatic<DeviceClaimModel>
  ControllerSession: ModelStatic<ControllerSessionModel>
} {
  const options = { sequelize: db, underscored: true, timestamps: false }
  class Controller extends ControllerModel {}
  Controller.init(
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      userId: { type: DataTypes.UUID, ...required },
      workspaceId: { type: DataTypes.UUID, ...required },
      macAddress: { type: DataTypes.STRING(17), unique: true },
      firmwareVersion: DataTypes.STRING(50),
      activationToken: { type: DataTypes.STRING(255), unique: true },
      activationExpiresAt: DataTypes.DATE,
      isActive: { type: DataTypes.BOOLEAN, ...required, defaultValue: false },
      activatedAt: DataTypes.DATE,
      lastSeenAt: DataTypes.DATE,
      name: { type: DataTypes.STRING(100), ...required },
      tags: { type: DataTypes.ARRAY(DataTypes.TEXT), ...required, defaultValue: [] },
      metadata: { type: DataTypes.JSONB, ...required, defaultValue: {} },
      deviceMetadata: { type: DataTypes.JSONB, ...required, defaultValue: {} },
      model: DataTypes.STRING(100),
      status: { type: DataTypes.STRING(10), ...required, defaultValue: 'pending' },
      statusSince: DataTypes.DATE,
      sessionEpoch: { type: DataTypes.BIGINT, ...required, defaultValue: 0 },
      pageLabel: { type: DataTypes.STRING(16), ...required, unique: true },
      accessEpoch: { type: DataTypes.INTEGER, ...required, defaultValue: 1 },
      pageCache: { type: DataTypes.STRING(10), ...required, defaultValue: 'private' },
      verifierCurrent: DataTypes.STRING(64),
      verifierNext: DataTypes.STRING(64),
      rotationPending: { type: DataTypes.BOOLEAN, ...required, defaultValue: false },
      rotationNonce: DataTypes.STRING(64),
      version: { type: DataTypes.INTEGER, ...required, defaultValue: 1 },
      suspendedAt: DataTypes.DATE,
      deletedAt: DataTypes.DATE,
      createdAt: { type: DataTypes.DATE, ...required },
      updatedAt: { type: DataTypes.DATE, ...required },
    },
    { ...options, modelName: 'Controller', tableName: 'controllers' },
  )
  class DeviceClaim extends DeviceClaimModel {}
  DeviceClaim.init(
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      codeHash: { type: DataTypes.STRING(64), ...required, unique: true },
      claimSecretHash: { type: DataTypes.STRING(64), ...required },
      macAddress: DataTypes.STRING(17),
      firmwareVersion: DataTypes.STRING(50),
      model: DataTypes.STRING(100),
      deviceMetadata: { type: DataTypes.JSONB, ...required, defaultValue: {} },
      remoteAddress: { type: DataTypes.STRING(64), ...required },
      tries: { type: DataTypes.INTEGER, ...required, defaultValue: 0 },
      lastTriedBy: DataTypes.UUID,
      expiresAt: { type: DataTypes.DATE, ...required },
      confirmedBy: DataTypes.UUID,
      confirmedAt: DataTypes.DATE,
      controllerId: DataTypes.UUID,
      collectedAt: DataTypes.DATE,
      createdAt: { type: DataTypes.DATE, ...required },
    },
    { ...options, modelName: 'DeviceClaim', tableName: 'device_claims' },
  )
  class ControllerSession extends ControllerSessionModel {}
  ControllerSession.init(
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      controllerId: { type: DataTypes.UUID, ...required },
      websocketId: { type: DataTypes.STRING(255), ...required, unique: true },
      connectedAt: { type: DataTypes.DATE, ...required },
      disconnectedAt: DataTypes.DATE,
      epoch: { type: DataTypes.BIGINT, ...required },
      shard: { type: DataTypes.STRING(100), ...required },
      remoteAddress: DataTypes.STRING(64),
      firmwareVersion: DataTypes.STRING(50),
      reason: DataTypes.STRING(100),
    },
    { ...options, modelName: 'ControllerSession', tableName: 'controller_sessions' },
  )
  return { Controller, DeviceClaim, ControllerSession }
}

/** `SELECT` list of a model's table with names as in the model; `alias` of the table in front where given. */
export function columnsOf<M extends Model>(model: ModelStatic<M>, alias?: string): string {
  const prefix = alias === undefined ? '' : `${alias}.`
  return Object.entries(model.getAttributes())
    .map(([name, attribute]) => `${prefix}${attribute.field} AS "${name}"`)
    .join(', ')
}
