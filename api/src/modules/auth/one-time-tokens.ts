/** Tokens that work once: in mails and in the link of the first sign-in. */
import { randomToken, sha256Hex, uuidv7 } from '@wmoc/platform/ids'
import type { Sequelize, Transaction } from 'sequelize'
import { firstRow, rows } from '#src/kernel/rows.ts'

const MINUTE_MS = 60_000

export const TOKEN_TTL_MS = {
  sign_in: 15 * MINUTE_MS,
  reset_password: 30 * MINUTE_MS,
  verify_email: 24 * 60 * MINUTE_MS,
} as const
export type TokenPurpose = keyof typeof TOKEN_TTL_MS

export interface OneTimeTokens {
  /** A new token; earlier ones of the same person and purpose end. Only its hash is stored. */
  create(userId: string, purpose: TokenPurpose, transaction: Transaction): Promise<string>
  /** The person, to exactly one taker of a good token; null for everything else. */
  take(token: string, purpose: TokenPurpose, transaction: Transaction): Promise<string | null>
}

export function createOneTimeTokens(db: Sequelize, clock: () => Date): OneTimeTokens {
  return {
    async create(userId, purpose, transaction) {
      const token = randomToken(32)
      const now = clock()
      await rows(
        db,
        'UPDATE one_time_tokens SET used_at = $now WHERE user_id = $userId AND purpose = $purpose AND used_at IS NULL',
        { userId, purpose, now },
        transaction,
      )
      await rows(
        db,
        `INSERT INTO one_time_tokens (id, user_id, purpose, token_hash, created_at, expires_at)
         VALUES ($id, $userId, $purpose, $hash, $now, $expiresAt)`,
        {
          id: uuidv7(),
          userId,
          purpose,
          hash: sha256Hex(token),
          now,
          expiresAt: new Date(now.getTime() + TOKEN_TTL_MS[purpose]),
        },
        transaction,
      )
      return token
    },
    async take(token, purpose, transaction) {
      const row = await firstRow<{ userId: string }>(
        db,
        `UPDATE one_time_tokens SET used_at = $now
         WHERE token_hash = $hash AND purpose = $purpose AND used_at IS NULL AND expires_at > $now
         RETURNING user_id AS "userId"`,
        { hash: sha256Hex(token), purpose, now: clock() },
        transaction,
      )
      return row?.userId ?? null
    },
  }
}
