import type { Json } from '#src/kernel/clean-text.ts'
import type { Command, CommandState } from './contract.ts'

/** A command as the services read it, with the e-mail of who sent it. */
export interface CommandRow {
  readonly id: string
  readonly controllerId: string
  readonly workspaceId: string
  readonly name: string
  readonly params: Json
  readonly state: CommandState
  readonly result: Json
  readonly error: string | null
  readonly createdBy: string | null
  readonly createdByEmail: string | null
  readonly createdAt: Date
  readonly sentAt: Date | null
  readonly finishedAt: Date | null
  readonly expiresAt: Date
}

/** The only way from a row to what leaves the API. */
export function presentCommand(row: CommandRow): Command {
  const { createdBy, createdByEmail } = row
  return {
    id: row.id,
    controllerId: row.controllerId,
    name: row.name,
    params: row.params,
    state: row.state,
    result: row.result,
    error: row.error,
    createdBy:
      createdBy === null || createdByEmail === null ? null : { id: createdBy, email: createdByEmail },
    createdAt: row.createdAt.toISOString(),
    sentAt: row.sentAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
    expiresAt: row.expiresAt.toISOString(),
  }
}
