/** Cursors of lists: where the page ended, bound to the sort it was made for. Pure. */
import { appError } from '@wmoc/platform/errors'
import type { z } from 'zod'

/** Opaque text of the last row's sort values. */
export function encodeCursor(sort: string, values: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([sort, ...values])).toString('base64url')
}

/**
 * The values of a cursor, or null without one. Throws 400 `validation_failed` for text we didn't make, another sort, or
 * values that don't fit `schema` (a tuple). The values only ever reach SQL as binds.
 */
export function decodeCursor<T>(text: string | undefined, sort: string, schema: z.ZodType<T>): T | null {
  if (text === undefined) return null
  try {
    const [madeFor, ...values] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[]
    if (madeFor === sort) return schema.parse(values)
  } catch {
    // Falls through: whatever was wrong, the answer is the same.
  }
  throw appError('validation_failed', { detail: 'The cursor is not one of this list.' })
}

/** Cuts a list read with `limit + 1` to one page. */
export function toPage<R, T>(
  found: readonly R[],
  limit: number,
  present: (row: R) => T,
  cursorOf: (row: R) => string,
): { items: T[]; nextCursor: string | null } {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(present),
    nextCursor: found.length > limit && last !== undefined ? cursorOf(last) : null,
  }
}
