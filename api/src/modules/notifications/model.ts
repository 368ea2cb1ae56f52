import { DataTypes, Model } from 'sequelize'
import type { InferAttributes, ModelStatic, Sequelize } from 'sequelize'
import type { Json } from '#src/kernel/clean-text.ts'
import type { NotificationType, Preferences } from './contract.ts'
import type { PresenceState } from './core/presence.ts'

export class NotificationModel extends Model<InferAttributes<NotificationModel>> {
  declare id: string
  declare userId: string
  declare workspaceId: string
  declare type: NotificationType
  declare title: string
  declare message: string
  declare data: Record<string, Json>
  declare isRead: boolean
  declare readAt: Date | null
  /** The same news for the same person is stored once. */
  declare dedupeKey: string
  declare createdAt: Date
}

/** What a person wants by which channel; without a row the defaults count. */
export class NotificationPreferencesModel extends Model<InferAttributes<NotificationPreferencesModel>> {
  declare userId: string
  declare channels: Preferences['channels']
  declare updatedAt: Date
}

/** One notification on its way by one channel. */
export class NotificationDeliveryModel extends Model<InferAttributes<NotificationDeliveryModel>> {
  declare notificationId: string
  declare channel: string
  declare userId: string
  /** `skipped`: the channel can't reach the person. */
  declare state: 'waiting' | 'sent' | 'skipped'
  declare attempts: number
  declare dueAt: Date
  declare doneAt: Date | null
}

/** What was told of one controller, so that a flapping one does not flood. */
export class ControllerNoticeModel extends Model<InferAttributes<ControllerNoticeModel>> {
  declare controllerId: string
  declare workspaceId: string
  declare presence: PresenceState | null
  /** When the job that is on its way decides; null when none is. */
  declare dueAt: Date | null
  declare authFailedToldAt: Date | null
}

export type NotificationRow = InferAttributes<NotificationModel>

const required = { allowNull: false }

/** Binds the models of this module to a database. */
export function defineNotificationModels(db: Sequelize): {
  Notification: ModelStatic<NotificationModel>
  Preferences: ModelStatic<NotificationPreferencesModel>
  Delivery: ModelStatic<NotificationDeliveryModel>
  ControllerNotice: ModelStatic<ControllerNoticeModel>
} {
  const options = { sequelize: db, underscored: true, timestamps: false }
  class Notification extends NotificationModel {}
  Notification.init(
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      userId: { type: DataTypes.UUID, ...required },
      workspaceId: { type: DataTypes.UUID, ...required },
      type: { type: DataTypes.STRING(50), ...required },
      title: { type: DataTypes.STRING(255), ...required },
      message: { type: DataTypes.TEXT, ...required },
      data: { type: DataTypes.JSONB, ...required, defaultValue: {} },
      isRead: { type: DataTypes.BOOLEAN, ...required, defaultValue: false },
      readAt: DataTypes.DATE,
      dedupeKey: { type: DataTypes.STRING(255), ...required, unique: true },
      createdAt: { type: DataTypes.DATE, ...required },
    },
    { ...options, modelName: 'Notification', tableName: 'notifications' },
  )
  class Preferences extends NotificationPreferencesModel {}
  Preferences.init(
    {
      userId: { type: DataTypes.UUID, primaryKey: true },
      channels: { type: DataTypes.JSONB, ...required },
      updatedAt: { type: DataTypes.DATE, ...required },
    },
    { ...options, modelName: 'NotificationPreferences', tableName: 'notification_preferences' },
  )
  class Delivery extends NotificationDeliveryModel {}
  Delivery.init(
    {
      notificationId: { type: DataTypes.UUID, primaryKey: true },
      channel: { type: DataTypes.STRING(20), primaryKey: true },
      userId: { type: DataTypes.UUID, ...required },
      state: { type: DataTypes.STRING(10), ...required },
      attempts: { type: DataTypes.INTEGER, ...required, defaultValue: 0 },
      dueAt: { type: DataTypes.DATE, ...required },
      doneAt: DataTypes.DATE,
    },
    { ...options, modelName: 'NotificationDelivery', tableName: 'notification_deliveries' },
  )
  class ControllerNotice extends ControllerNoticeModel {}
  ControllerNotice.init(
    {
      controllerId: { type: DataTypes.UUID, primaryKey: true },
      workspaceId: { type: DataTypes.UUID, ...required },
      presence: DataTypes.JSONB,
      dueAt: DataTypes.DATE,
      authFailedToldAt: DataTypes.DATE,
    },
    { ...options, modelName: 'ControllerNotice', tableName: 'controller_notices' },
  )
  return { Notification, Preferences, Delivery, ControllerNotice }
}
