/** What a list shows and in which order, as it stands in the address. Pure. */
import type { ControllerStatus, SavedView } from '@wmoc/api/contracts/controllers'
import type { LocationQuery, LocationQueryRaw } from 'vue-router'

export const STATUSES = ['online', 'offline', 'pending'] as const satisfies readonly ControllerStatus[]
export const SORTS = ['name', '-name', '-lastSeenAt', '-createdAt', 'status'] as const
export type Sort = (typeof SORTS)[number]

export interface Filters {
  readonly q: string
  readonly status: ControllerStatus | null
  readonly tags: readonly string[]
  readonly sort: Sort
}

/** Anything unknown is left out: an address may be typed by hand. */
export function filtersOf(query: LocationQuery): Filters {
  const tags = [query.tag].flat().filter((tag) => typeof tag === 'string' && tag !== '') as string[]
  return {
    q: typeof query.q === 'string' ? query.q.slice(0, 100) : '',
    status: STATUSES.find((status) => status === query.status) ?? null,
    tags: [...new Set(tags)].slice(0, 20),
    sort: SORTS.find((sort) => sort === query.sort) ?? 'name',
  }
}

/** As a kept view has them; the order of its tags says nothing. */
export type ViewFilters = Filters | SavedView['filters']

export function isSameView(one: ViewFilters, other: ViewFilters): boolean {
  const textOf = ({ q, status, tags, sort }: ViewFilters) =>
    JSON.stringify([q, status, [...tags].toSorted(), sort])
  return textOf(one) === textOf(other)
}

/** The shortest address that says the same. */
export function queryOf(filters: ViewFilters): LocationQueryRaw {
  return {
    ...(filters.q === '' ? {} : { q: filters.q }),
    ...(filters.status === null ? {} : { status: filters.status }),
    ...(filters.tags.length === 0 ? {} : { tag: [...filters.tags] }),
    ...(filters.sort === 'name' ? {} : { sort: filters.sort }),
  }
}

export function isFiltered(filters: Filters): boolean {
  return filters.q !== '' || filters.status !== null || filters.tags.length > 0
}
