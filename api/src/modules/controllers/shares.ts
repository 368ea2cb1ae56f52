/**
 * People that a single controller is shared with. By e-mail: a share waits until somebody has confirmed that address as
 * theirs, and nobody who shares learns whether that is so already.
 */
import { appError } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import type { Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'

/** People one controller may be shared with. */
export const MAX_SHARES = 100

export interface ShareRow {
  readonly id: string
  readonly email: string
  readonly createdAt: Date
}

export interface Shares {
  /** By e-mail. */
  list(controllerId: string): Promise<ShareRow[]>
  /**
   * The share of this person, and whether it is new. `conflict` at the limit. The row of the controller is locked by
   * the caller, so that the limit is exact.
   */
  add(
    controllerId: string,
    email: string,
    transaction: Transaction,
  ): Promise<{ share: ShareRow; isNew: boolean }>
  /** Ends it and answers whose it was; `not_found` where this controller has no such share. */
  remove(controllerId: string, shareId: string, transaction: Transaction): Promise<ShareRow>
  /** Gives waiting shares to accounts that have confirmed their e-mail since; answers how many. */
  settle(): Promise<number>
}

const COLUMNS = `s.id, coalesce(s.email, u.email) AS email, s.created_at AS "createdAt"`
const FROM = 'controller_shares s LEFT JOIN users u ON u.id = s.user_id'

/** Shares in the database. */
export function createShares({ db, clock, notifyGateway }: Kernel): Shares {
  async function find(
    controllerId: string,
    email: string,
    transaction: Transaction,
  ): Promise<ShareRow | null> {
    return firstRow<ShareRow>(
      db,
      `SELECT ${COLUMNS} FROM ${FROM} WHERE s.controller_id = $controllerId AND coalesce(s.email, u.email) = $email`,
      { controllerId, email },
      transaction,
    )
  }

  /** Of all controllers, or of one. What a declaration made meanwhile for the same account stands. */
  async function settleIn(controllerId: string | null, transaction: Transaction): Promise<number> {
    await rows(
      db,
      `DELETE FROM controller_shares s USING users u, controller_shares same
       WHERE s.user_id IS NULL AND u.email = s.email AND same.controller_id = s.controller_id AND same.user_id = u.id`,
      {},
      transaction,
    )
    const settled = await rows<{ userId: string; controllerId: string }>(
      db,
      `UPDATE controller_shares s SET user_id = u.id FROM users u
       WHERE s.user_id IS NULL AND u.email = s.email AND u.email_verified_at IS NOT NULL
         AND ($controllerId::uuid IS NULL OR s.controller_id = $controllerId)
       RETURNING u.id AS "userId", s.controller_id AS "controllerId"`,
      { controllerId },
      transaction,
    )
    for (const whose of settled) notifyGateway({ type: 'access_changed', ...whose }, transaction)
    return settled.length
  }

  return {
    list: (controllerId) =>
      rows<ShareRow>(
        db,
        `SELECT ${COLUMNS} FROM ${FROM} WHERE s.controller_id = $controllerId ORDER BY email, s.id`,
        { controllerId },
      ),

    async add(controllerId, email, transaction) {
      const known = await find(controllerId, email, transaction)
      if (known !== null) return { share: known, isNew: false }
      const inserted = await rows(
        db,
        `INSERT INTO controller_shares (id, controller_id, email, created_at)
         SELECT $id, $controllerId, $email, $now
         WHERE (SELECT count(*) FROM controller_shares WHERE controller_id = $controllerId) < $max RETURNING id`,
        { id: uuidv7(), controllerId, email, now: clock(), max: MAX_SHARES },
        transaction,
      )
      if (inserted.length === 0)
        throw appError('conflict', { detail: `It is shared with ${MAX_SHARES} people already.` })
      await settleIn(controllerId, transaction)
      const share = await find(controllerId, email, transaction)
      return { share: share!, isNew: true }
    },

    async remove(controllerId, shareId, transaction) {
      const gone = await firstRow<ShareRow & { userId: string | null }>(
        db,
        `DELETE FROM controller_shares WHERE id = $shareId AND controller_id = $controllerId
         RETURNING id, user_id AS "userId", created_at AS "createdAt",
           coalesce(email, (SELECT u.email FROM users u WHERE u.id = user_id)) AS email`,
        { shareId, controllerId },
        transaction,
      )
      if (gone === null) throw appError('not_found')
      const { userId, ...share } = gone
      if (userId !== null) notifyGateway({ type: 'access_changed', userId, controllerId }, transaction)
      return share
    },

    settle: () => db.transaction((transaction) => settleIn(null, transaction)),
  }
}
