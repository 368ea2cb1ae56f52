/** The audit log: append-only, each row carrying the hash of the one before it. */
import { createHash } from 'node:crypto'
import type { Sequelize } from 'sequelize'
import type { AuditLog } from './module.ts'
import { firstRow, rows } from './rows.ts'

const LOCK = 0x61_75_64_69
const FIRST = '0'.repeat(64)
const PAGE = 1_000

interface AuditRow {
  readonly seq: string
  readonly workspaceId: string | null
  readonly actorId: string | null
  readonly action: string
  readonly target: string
  readonly before: unknown
  readonly after: unknown
  readonly remoteAddress: string | null
  readonly createdAt: Date
  readonly prevHash: string
  readonly hash: string
}

/** Writers wait for each other until their transactions end: a chain has one end. */
export function createAuditLog(db: Sequelize, clock: () => Date): AuditLog {
  return {
    async record(entry, transaction) {
      await rows(db, 'SELECT pg_advisory_xact_lock($lock)', { lock: LOCK }, transaction)
      const last = await firstRow<{ seq: string; hash: string }>(
        db,
        'SELECT seq::text, hash FROM audit_log ORDER BY audit_log.seq DESC LIMIT 1',
        {},
        transaction,
      )
      const row = {
        seq: (BigInt(last?.seq ?? 0) + 1n).toString(),
        workspaceId: entry.workspaceId,
        actorId: entry.actorId,
        action: entry.action,
        target: entry.target,
        before: entry.before ?? null,
        after: entry.after ?? null,
        remoteAddress: entry.remoteAddress ?? null,
        createdAt: clock(),
        prevHash: last?.hash ?? FIRST,
      }
      await rows(
        db,
        `INSERT INTO audit_log (seq, workspace_id, actor_id, action, target, before, after, remote_address,
           created_at, prev_hash, hash)
         VALUES ($seq, $workspaceId, $actorId, $action, $target, $before::jsonb, $after::jsonb, $remoteAddress,
           $createdAt, $prevHash, $hash)`,
        {
          ...row,
          before: row.before === null ? null : JSON.stringify(row.before),
          after: row.after === null ? null : JSON.stringify(row.after),
          hash: hashOf(row),
        },
        transaction,
      )
    },
  }
}

/** Walks the whole chain; `brokenAt` is the first row that is missing, changed or out of its place, or null. */
export async function verifyAuditLog(db: Sequelize): Promise<{ rows: number; brokenAt: string | null }> {
  let expected = { seq: 1n, prevHash: FIRST }
  for (;;) {
    const found = await rows<AuditRow>(
      db,
      `SELECT seq::text, workspace_id AS "workspaceId", actor_id AS "actorId", action, target, before, after,
         remote_address AS "remoteAddress", created_at AS "createdAt", prev_hash AS "prevHash", hash
       FROM audit_log WHERE seq >= $from ORDER BY audit_log.seq LIMIT $limit`,
      { from: expected.seq.toString(), limit: PAGE },
    )
    for (const row of found) {
      const isSound =
        row.seq === expected.seq.toString() && row.prevHash === expected.prevHash && row.hash === hashOf(row)
      if (!isSound) return { rows: Number(expected.seq - 1n), brokenAt: row.seq }
      expected = { seq: expected.seq + 1n, prevHash: row.hash }
    }
    if (found.length < PAGE) return { rows: Number(expected.seq - 1n), brokenAt: null }
  }
}

function hashOf(row: Omit<AuditRow, 'hash'>): string {
  const parts = [
    row.seq,
    row.workspaceId,
    row.actorId,
    row.action,
    row.target,
    canonical(row.before),
    canonical(row.after),
    row.remoteAddress,
    row.createdAt.toISOString(),
    row.prevHash,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/** Keys in order: jsonb keeps none. What JSON leaves out (`undefined`) is left out here too. */
function canonical(value: unknown): unknown {
  const plain: unknown = value === undefined ? null : (JSON.parse(JSON.stringify(value)) as unknown)
  return sortKeys(plain)
}

function sortKeys(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(sortKeys)
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sortKeys(item)]),
  )
}
