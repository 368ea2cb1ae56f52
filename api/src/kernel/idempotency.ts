/** `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the first answer is kept a day and given again. */
import { appError } from '@wmoc/platform/errors'
import { sha256Hex } from '@wmoc/platform/ids'
import type { SecretBox } from '@wmoc/platform/secret-box'
import type { Sequelize } from 'sequelize'
import { firstRow, rows } from './rows.ts'

export const IDEMPOTENCY_TTL_MS = 24 * 60 * 60 * 1_000

export interface Idempotency {
  /**
   * Runs the task once per person and key. A repeat of the same request gets the first result; another request under
   * the key is 422 `idempotency_mismatch`; one that is still running, or died half-way, is 409 `conflict`. A task that
   * fails is forgotten, so it can be tried again.
   */
  once<T>(request: { userId: string; key: string; fingerprint: string }, task: () => Promise<T>): Promise<T>
  /** Removes what is older than a day. */
  purge(): Promise<void>
}

/** Results are sealed: some hold a token that is stored nowhere else in the clear. */
export function createIdempotency(db: Sequelize, secrets: SecretBox, clock: () => Date): Idempotency {
  async function replay<T>(userId: string, key: string, hash: string): Promise<T> {
    const known = await firstRow<{ hash: string; response: string | null }>(
      db,
      'SELECT request_hash AS hash, response FROM idempotency_keys WHERE user_id = $userId AND key = $key',
      { userId, key },
    )
    if (known !== null && known.hash !== hash) throw appError('idempotency_mismatch')
    const response = known?.response ?? null
    if (response === null) {
      throw appError('conflict', {
        detail:
          'A request with this Idempotency-Key was begun and has no answer yet. Look what it did before using a new key.',
        retryAfterMs: 1_000,
      })
    }
    return JSON.parse(secrets.open(response, context(userId, key))) as T
  }

  return {
    async once({ userId, key, fingerprint }, task) {
      if (!/^[\x21-\x7E]{1,200}$/.test(key)) {
        throw appError('validation_failed', {
          fields: [
            {
              path: 'headers.idempotency-key',
              code: 'invalid_format',
              message: '1 to 200 visible characters',
            },
          ],
        })
      }
      const hash = sha256Hex(fingerprint)
      const begun = await rows(
        db,
        `INSERT INTO idempotency_keys (user_id, key, request_hash, created_at) VALUES ($userId, $key, $hash, $now)
         ON CONFLICT DO NOTHING RETURNING key`,
        { userId, key, hash, now: clock() },
      )
      if (begun.length === 0) return replay(userId, key, hash)
      try {
        const result = await task()
        const response = JSON.stringify(secrets.seal(JSON.stringify(result), context(userId, key)))
        await rows(
          db,
          'UPDATE idempotency_keys SET response = $response::jsonb WHERE user_id = $userId AND key = $key',
          { userId, key, response },
        )
        return result
      } catch (error) {
        await rows(
          db,
          'DELETE FROM idempotency_keys WHERE user_id = $userId AND key = $key AND response IS NULL',
          {
            userId,
            key,
          },
        )
        throw error
      }
    },
    async purge() {
      const before = new Date(clock().getTime() - IDEMPOTENCY_TTL_MS)
      await rows(db, 'DELETE FROM idempotency_keys WHERE created_at < $before', { before })
    },
  }
}

function context(userId: string, key: string): string {
  return `idempotency ${userId} ${key}`
}
