/** Sign-in sessions: an opaque refresh token that rotates, and a family that dies when an old one comes back. */
import { randomToken, sha256Hex, uuidv7 } from '@wmoc/platform/ids'
import type { Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'

/** Slides on with every use. */
export const SESSION_TTL_MS = 30 * 24 * 60 * 60 * 1_000
/** Parallel tabs: the token just before the present one still gets an access token for this long. */
export const GRACE_MS = 10_000

export type EndReason = 'signed_out' | 'revoked' | 'reuse' | 'password_changed' | 'password_reset'

/** Where a person signs in from. */
export interface Place {
  readonly userAgent: string | null
  readonly remoteAddress: string | null
}

export interface Opened {
  readonly userId: string
  readonly sessionId: string
  /** Null within the grace: the browser has the newer one already. */
  readonly refreshToken: string | null
}

export interface SessionRow {
  readonly id: string
  readonly userAgent: string | null
  readonly remoteAddress: string | null
  readonly createdAt: Date
  readonly lastUsedAt: Date
  readonly expiresAt: Date
}

export interface Sessions {
  /** A new session with an id of its own. */
  open(userId: string, place: Place, transaction?: Transaction): Promise<Opened>
  /** The token's session with the next token, or null: unknown, ended, or an old one that ends its family now. */
  rotate(refreshToken: string, place: Place): Promise<Opened | null>
  /** Whose it is; never rotates. */
  identify(refreshToken: string): Promise<{ userId: string; sessionId: string } | null>
  list(userId: string): Promise<SessionRow[]>
  /** Ends sessions of one person, all or the one named, but never `exceptId`; answers the ids that ended. */
  end(
    target: { userId: string; id?: string; exceptId?: string },
    reason: EndReason,
    transaction?: Transaction,
  ): Promise<string[]>
  alive(ids: readonly string[]): Promise<Set<string>>
}

const ALIVE = 'revoked_at IS NULL AND expires_at > $now'

/** Makes the service. What ends is told to every process that keeps sessions in mind. */
export function createSessions({
  db,
  clock,
  audit,
  notifyGateway,
}: Pick<Kernel, 'db' | 'clock' | 'audit' | 'notifyGateway'>): Sessions {
  async function end(
    target: { userId: string; id?: string; exceptId?: string },
    reason: EndReason,
    transaction?: Transaction,
  ): Promise<string[]> {
    if (!transaction) return db.transaction((own) => end(target, reason, own))
    const ended = await rows<{ id: string }>(
      db,
      `UPDATE sessions SET revoked_at = $now, revoked_reason = $reason
       WHERE user_id = $userId AND revoked_at IS NULL
         AND ($id::uuid IS NULL OR id = $id::uuid) AND id IS DISTINCT FROM $exceptId::uuid
       RETURNING id`,
      {
        now: clock(),
        reason,
        userId: target.userId,
        id: target.id ?? null,
        exceptId: target.exceptId ?? null,
      },
      transaction,
    )
    const ids = ended.map(({ id }) => id)
    if (ids.length === 0) return ids
    await audit.record(
      {
        workspaceId: null,
        actorId: target.userId,
        action: 'session.ended',
        target: `user ${target.userId}`,
        after: { sessions: ids, reason },
      },
      transaction,
    )
    notifyGateway({ type: 'session_ended', sessionIds: ids }, transaction)
    return ids
  }

  async function open(userId: string, place: Place, transaction: Transaction): Promise<Opened> {
    const refreshToken = randomToken(32)
    const now = clock()
    const sessionId = uuidv7(now.getTime())
    await rows(
      db,
      `INSERT INTO sessions (id, user_id, refresh_hash, rotated_at, user_agent, remote_address, created_at,
         last_used_at, expires_at)
       VALUES ($sessionId, $userId, $hash, $now, $userAgent, $remoteAddress, $now, $now, $expiresAt)`,
      {
        sessionId,
        userId,
        hash: sha256Hex(refreshToken),
        now,
        userAgent: place.userAgent,
        remoteAddress: place.remoteAddress,
        expiresAt: new Date(now.getTime() + SESSION_TTL_MS),
      },
      transaction,
    )
    await audit.record(
      {
        workspaceId: null,
        actorId: userId,
        action: 'session.opened',
        target: `session ${sessionId}`,
        remoteAddress: place.remoteAddress,
      },
      transaction,
    )
    return { userId, sessionId, refreshToken }
  }

  async function advance(
    session: { id: string; userId: string },
    hash: string,
    place: Place,
    transaction: Transaction,
  ) {
    const refreshToken = randomToken(32)
    const now = clock()
    await rows(
      db,
      `UPDATE sessions SET refresh_hash = $next, previous_hash = $hash, generation = generation + 1, rotated_at = $now,
         last_used_at = $now, expires_at = $expiresAt, user_agent = $userAgent, remote_address = $remoteAddress
       WHERE id = $id`,
      {
        id: session.id,
        next: sha256Hex(refreshToken),
        hash,
        now,
        expiresAt: new Date(now.getTime() + SESSION_TTL_MS),
        userAgent: place.userAgent,
        remoteAddress: place.remoteAddress,
      },
      transaction,
    )
    await rows(
      db,
      'INSERT INTO retired_refresh_tokens (hash, session_id, retired_at) VALUES ($hash, $id, $now)',
      { hash, id: session.id, now },
      transaction,
    )
    return { userId: session.userId, sessionId: session.id, refreshToken }
  }

  /** A retired token: the one just before within its grace, or somebody else's copy. */
  async function meetRetired(hash: string, place: Place, transaction: Transaction): Promise<Opened | null> {
    const session = await firstRow<{ id: string; userId: string; previousHash: string; rotatedAt: Date }>(
      db,
      `SELECT s.id, s.user_id AS "userId", s.previous_hash AS "previousHash", s.rotated_at AS "rotatedAt"
       FROM retired_refresh_tokens r JOIN sessions s ON s.id = r.session_id
       WHERE r.hash = $hash AND s.revoked_at IS NULL AND s.expires_at > $now FOR UPDATE OF s`,
      { hash, now: clock() },
      transaction,
    )
    if (!session) return null
    const age = clock().getTime() - session.rotatedAt.getTime()
    if (session.previousHash === hash && age <= GRACE_MS) {
      return { userId: session.userId, sessionId: session.id, refreshToken: null }
    }
    await end({ userId: session.userId, id: session.id }, 'reuse', transaction)
    await audit.record(
      {
        workspaceId: null,
        actorId: session.userId,
        action: 'session.reuse',
        target: `session ${session.id}`,
        remoteAddress: place.remoteAddress,
      },
      transaction,
    )
    return null
  }

  return {
    end,
    open: (userId, place, transaction) =>
      transaction ? open(userId, place, transaction) : db.transaction((own) => open(userId, place, own)),
    rotate: (refreshToken, place) =>
      db.transaction(async (transaction) => {
        const hash = sha256Hex(refreshToken)
        const session = await firstRow<{ id: string; userId: string }>(
          db,
          `SELECT id, user_id AS "userId" FROM sessions WHERE refresh_hash = $hash AND ${ALIVE} FOR UPDATE`,
          { hash, now: clock() },
          transaction,
        )
        return session ? advance(session, hash, place, transaction) : meetRetired(hash, place, transaction)
      }),
    async identify(refreshToken) {
      return firstRow<{ userId: string; sessionId: string }>(
        db,
        `SELECT user_id AS "userId", id AS "sessionId" FROM sessions
         WHERE (refresh_hash = $hash OR (previous_hash = $hash AND rotated_at > $graceFrom)) AND ${ALIVE}`,
        { hash: sha256Hex(refreshToken), now: clock(), graceFrom: new Date(clock().getTime() - GRACE_MS) },
      )
    },
    list: (userId) =>
      rows<SessionRow>(
        db,
        `SELECT id, user_agent AS "userAgent", remote_address AS "remoteAddress", created_at AS "createdAt",
           last_used_at AS "lastUsedAt", expires_at AS "expiresAt"
         FROM sessions WHERE user_id = $userId AND ${ALIVE} ORDER BY sessions.last_used_at DESC LIMIT 200`,
        { userId, now: clock() },
      ),
    async alive(ids) {
      const found = await rows<{ id: string }>(
        db,
        `SELECT id FROM sessions WHERE id = ANY($ids::uuid[]) AND ${ALIVE}`,
        {
          ids,
          now: clock(),
        },
      )
      return new Set(found.map(({ id }) => id))
    },
  }
}
