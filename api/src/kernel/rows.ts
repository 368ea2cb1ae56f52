/** Hand-written SQL in one place and one way: named binds only, typed rows. */
import { QueryTypes } from 'sequelize'
import type { Sequelize, Transaction } from 'sequelize'

/**
 * Rows of a statement; `$name` in the text is bound to `bind.name`, never pasted in. Arrays become Postgres arrays,
 * plain objects become JSON. What writes must be given its transaction: without one it may run on a read replica.
 */
export function rows<T extends object>(
  db: Sequelize,
  text: string,
  bind: Readonly<Record<string, unknown>>,
  transaction?: Transaction,
): Promise<T[]> {
  return db.query<T>(text, { bind, type: QueryTypes.SELECT, ...(transaction ? { transaction } : {}) })
}

/** The first row of a statement, or null. */
export async function firstRow<T extends object>(
  db: Sequelize,
  text: string,
  bind: Readonly<Record<string, unknown>>,
  transaction?: Transaction,
): Promise<T | null> {
  const [first] = await rows<T>(db, text, bind, transaction)
  return first ?? null
}
