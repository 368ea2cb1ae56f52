/** Schemas that several contracts share. Pure: the portal imports this file through the contracts. */
import { z } from 'zod'

export const Id = z.uuid()
/** RFC 3339, UTC. */
export const Timestamp = z.iso.datetime()

/** One page of a list; `nextCursor` null on the last. The cursor is opaque and bound to the sort it was made for. */
export function page<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() })
}

export const pageQuery = {
  cursor: z.string().max(500).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
}

/** RFC 9457, with a stable `code`; `fields` names what was wrong with the input, path by path. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  requestId: z.string().optional(),
  fields: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })).optional(),
})
export type Problem = z.infer<typeof Problem>

export const Locale = z.enum(['en', 'ru'])
export type Locale = z.infer<typeof Locale>
