/** The query behind the list: search, filters and keyset pages. Every piece of SQL comes from here, never from a caller. */
import { cleanText } from '#src/kernel/clean-text.ts'
import { decodeCursor } from '#src/kernel/cursor.ts'
import { z } from 'zod'
import type { RouteInput } from '#src/kernel/contract.ts'
import type { controllers } from './contract.ts'

export type ListQuery = RouteInput<(typeof controllers.routes)['list']>['query']
type Sort = ListQuery['sort']

/** Sort expressions over `controllers c`; never null, so that a keyset can go on from any row. */
const NAME = { sql: 'lower(c.name)', type: 'text', value: z.string().max(200) }
const LAST_SEEN = {
  sql: `coalesce(c.last_seen_at, 'epoch')`,
  type: 'timestamptz',
  value: z.iso.datetime({ offset: true }),
}
const CREATED = { sql: 'c.created_at', type: 'timestamptz', value: z.iso.datetime({ offset: true }) }
const STATUS = {
  sql: `CASE WHEN NOT c.is_active THEN 2 WHEN c.status = 'online' THEN 0 ELSE 1 END`,
  type: 'int',
  value: z.string().regex(/^[012]$/),
}
const SORTS: Readonly<
  Record<Sort, { readonly sql: string; readonly type: string; readonly value: z.ZodType<string> }>
> = {
  name: NAME,
  '-name': NAME,
  lastSeenAt: LAST_SEEN,
  '-lastSeenAt': LAST_SEEN,
  createdAt: CREATED,
  '-createdAt': CREATED,
  status: STATUS,
  '-status': STATUS,
}

export interface ListPlan {
  readonly where: string
  readonly orderBy: string
  /** Expression of the sort value, selected as text for the next cursor. */
  readonly sortValue: string
  readonly bind: Readonly<Record<string, unknown>>
}

/** Conditions and order for a list query. Throws 400 `validation_failed` for a cursor that is not of this list. */
export function planList(query: ListQuery): ListPlan {
  const descending = query.sort.startsWith('-')
  const sort = SORTS[query.sort]
  const after = decodeCursor(query.cursor, query.sort, z.tuple([sort.value, z.uuid()]))
  const direction = descending ? 'DESC' : 'ASC'
  const conditions: string[] = []
  const bind: Record<string, unknown> = {}
  if (query.status !== undefined) {
    conditions.push(query.status === 'pending' ? 'NOT c.is_active' : 'c.is_active AND c.status = $status')
    if (query.status !== 'pending') bind.status = query.status
  }
  if (query.tag !== undefined) {
    conditions.push('c.tags @> $tags::text[]')
    bind.tags = typeof query.tag === 'string' ? [query.tag] : query.tag
  }
  if (query.q !== undefined && query.q !== '') {
    conditions.push(SEARCH)
    const text = cleanText(query.q)
    bind.like = `%${escapeLike(text)}%`
    const mac = text.replaceAll(/[:\-\s]/g, '')
    bind.mac = mac === '' ? '' : `%${escapeLike(mac)}%`
  }
  if (after !== null) {
    conditions.push(`(${sort.sql}, c.id) ${descending ? '<' : '>'} ($value::${sort.type}, $after::uuid)`)
    bind.value = after[0]
    bind.after = after[1]
  }
  return {
    where: conditions.map((condition) => ` AND (${condition})`).join(''),
    orderBy: `${sort.sql} ${direction}, c.id ${direction}`,
    sortValue: sort.type === 'timestamptz' ? `to_json(${sort.sql})#>>'{}'` : `(${sort.sql})::text`,
    bind,
  }
}

const SEARCH = `c.name ILIKE $like OR c.model ILIKE $like OR replace(c.mac_address, ':', '') ILIKE $mac
  OR EXISTS (SELECT 1 FROM unnest(c.tags) tag WHERE tag ILIKE $like)`

/** Text as it is inside a LIKE pattern. */
export function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`)
}
