import { LOG_LEVELS, type LogLevel } from '@wmoc/protocol/messages'
import type { Sequelize } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'
import type { LogEntry } from './contract.ts'

export interface LogFilter {
  readonly controllerId: string
  readonly from: Date | null
  readonly to: Date | null
  /** This level and above. */
  readonly level: LogLevel | null
  /** Part of the message, any case. */
  readonly text: string | null
  /** Only lines older than this one. */
  readonly before: { readonly timestamp: string; readonly id: string } | null
  readonly limit: number
}

/** Log lines, newest first, at most `limit`. */
export async function findLogs(db: Sequelize, filter: LogFilter): Promise<LogEntry[]> {
  const found = await rows<Omit<LogEntry, 'timestamp'> & { timestamp: Date }>(
    db,
    `SELECT id, "timestamp", level, message FROM logs
     WHERE controller_id = $controllerId
       AND ($from::timestamptz IS NULL OR "timestamp" >= $from)
       AND ($to::timestamptz IS NULL OR "timestamp" <= $to)
       AND level = ANY($levels::text[])
       AND ($text::text IS NULL OR message ILIKE $text)
       AND ($beforeTime::timestamptz IS NULL OR ("timestamp", id) < ($beforeTime, $beforeId::uuid))
     ORDER BY "timestamp" DESC, id DESC LIMIT $limit`,
    {
      controllerId: filter.controllerId,
      from: filter.from?.toISOString() ?? null,
      to: filter.to?.toISOString() ?? null,
      levels: LOG_LEVELS.slice(LOG_LEVELS.indexOf(filter.level ?? 'debug')),
      text: filter.text === null ? null : `%${filter.text.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`,
      beforeTime: filter.before?.timestamp ?? null,
      beforeId: filter.before?.id ?? null,
      limit: filter.limit,
    },
  )
  return found.map((row) => ({ ...row, timestamp: row.timestamp.toISOString() }))
}
