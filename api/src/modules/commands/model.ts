import { DataTypes, Model } from 'sequelize'
import type { InferAttributes, ModelStatic, Sequelize } from 'sequelize'
import type { Json } from '#src/kernel/clean-text.ts'
import type { CommandState } from './contract.ts'

export class CommandModel extends Model<InferAttributes<CommandModel>> {
  declare id: string
  declare controllerId: string
  declare workspaceId: string
  declare name: string
  declare params: Json
  declare state: CommandState
  declare result: Json
  declare error: string | null
  declare createdBy: string | null
  declare createdAt: Date
  declare sentAt: Date | null
  declare finishedAt: Date | null
  declare expiresAt: Date
}

/** Binds the table of commands to a database. */
export function defineCommandModel(db: Sequelize): ModelStatic<CommandModel> {
  class Command extends CommandModel {}
  return Command.init(
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      controllerId: { type: DataTypes.UUID, allowNull: false },
      workspaceId: { type: DataTypes.UUID, allowNull: false },
      name: { type: DataTypes.STRING(64), allowNull: false },
      params: { type: DataTypes.JSONB, allowNull: false },
      state: { type: DataTypes.STRING(12), allowNull: false },
      result: DataTypes.JSONB,
      error: DataTypes.TEXT,
      createdBy: DataTypes.UUID,
      createdAt: { type: DataTypes.DATE, allowNull: false },
      sentAt: DataTypes.DATE,
      finishedAt: DataTypes.DATE,
      expiresAt: { type: DataTypes.DATE, allowNull: false },
    },
    { sequelize: db, underscored: true, timestamps: false, modelName: 'Command', tableName: 'commands' },
  )
}
