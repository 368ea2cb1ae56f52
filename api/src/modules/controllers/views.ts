/** Views of the list that people keep: each belongs to one person, whatever workspaces the rows are of. */
import { appError } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { NewView, SavedView } from './contract.ts'

export const MAX_VIEWS = 50

type Row = Omit<SavedView, 'createdAt'> & { readonly createdAt: Date }

export interface ControllerViews {
  /** By name. */
  list(userId: string): Promise<SavedView[]>
  /** `conflict` when the person has one of this name, or `MAX_VIEWS` already. */
  create(userId: string, view: NewView): Promise<SavedView>
  /** `not_found` when it is not this person's. */
  remove(userId: string, id: string): Promise<void>
}

const COLUMNS = 'id, name, filters, created_at AS "createdAt"'

/** Views in the database. */
export function createControllerViews({ db, clock }: Pick<Kernel, 'db' | 'clock'>): ControllerViews {
  return {
    async list(userId) {
      const found = await rows<Row>(
        db,
        `SELECT ${COLUMNS} FROM controller_views WHERE user_id = $userId ORDER BY lower(name), id`,
        { userId },
      )
      return found.map(present)
    },

    create(userId, { name, filters }) {
      return db.transaction(async (transaction) => {
        // Two at once would both find room for the last one.
        await rows(
          db,
          `SELECT pg_advisory_xact_lock(hashtextextended('controller_views ' || $userId, 0))`,
          { userId },
          transaction,
        )
        const had = await firstRow<{ count: number }>(
          db,
          'SELECT count(*)::int AS count FROM controller_views WHERE user_id = $userId',
          { userId },
          transaction,
        )
        if (had!.count >= MAX_VIEWS) throw appError('conflict', { detail: `There are ${MAX_VIEWS} already.` })
        const made = await firstRow<Row>(
          db,
          `INSERT INTO controller_views (id, user_id, name, filters, created_at)
           VALUES ($id, $userId, $name, $filters, $now)
           ON CONFLICT (user_id, lower(name)) DO NOTHING RETURNING ${COLUMNS}`,
          {
            id: uuidv7(),
            userId,
            name,
            filters: JSON.stringify(filters),
            now: clock(),
          },
          transaction,
        )
        if (made === null) throw appError('conflict', { detail: 'There is one of this name already.' })
        return present(made)
      })
    },

    async remove(userId, id) {
      await db.transaction(async (transaction) => {
        const gone = await firstRow(
          db,
          'DELETE FROM controller_views WHERE id = $id AND user_id = $userId RETURNING id',
          { id, userId },
          transaction,
        )
        if (gone === null) throw appError('not_found')
      })
    },
  }
}

function present(row: Row): SavedView {
  return { ...row, createdAt: row.createdAt.toISOString() }
}
