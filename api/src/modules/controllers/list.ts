/** The query behind the list: search, filters and keyset pages. Every piece of SQL comes from here, never from a caller. */
import { cleanText } from '#src/kernel/clean-text.ts'
import type { RouteInput } from '#src/kernel/contract.ts'
import type { controllers } from './contract.ts'

export type ListQuery = RouteInput<(typeof controllers.routes)['list']>['query']
type Sort = ListQuery['sort']

/** Sort expressions over `controllers c`; never null, so that a keyset can go on from any row. */
const NAME = { sql: 'lower(c.name)', type: 'text' }
const LAST_SEEN = { sql: `coalesce(c.last_seen_at, 'epoch')`, type: 'timestamptz' }
const CREATED = { sql: 'c.created_at', type: 'timestamptz' }
const STATUS = {
  sql: `CASE WHEN NOT c.is_active THEN 2 WHEN c.status = 'online' THEN 0 ELSE 1 END`,
  type: 'int',
}
const SORTS: Readonly<Record<Sort, { readonly sql: string; readonly type: string }>> = {
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

/** Where the last page ended: the sort value as text, and the id that breaks ties. */
export interface ListPosition {
  readonly value: string
  readonly id: string
}

/** Conditions and order for a list query; `after` is where the page before ended. */
export function planList(query: ListQuery, after: ListPosition | null): ListPlan {
  const descending = query.sort.startsWith('-')
  const sort = SORTS[query.sort]
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
    bind.value = after.value
    bind.after = after.id
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
