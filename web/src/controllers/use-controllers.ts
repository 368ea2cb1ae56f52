/** The controllers that match the filters in the address, page after page as the person scrolls. */
import { keepPreviousData, useInfiniteQuery } from '@tanstack/vue-query'
import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'
import { filtersOf, queryOf, type Filters } from './filters.ts'

const PAGE = 100

export function useControllers() {
  const route = useRoute()
  const router = useRouter()
  const filters = computed(() => filtersOf(route.query))

  const query = useInfiniteQuery({
    queryKey: computed(() => keys.list(filters.value)),
    queryFn: ({ pageParam, signal }) =>
      api.controllers.list({
        query: {
          limit: PAGE,
          sort: filters.value.sort,
          q: filters.value.q || undefined,
          status: filters.value.status ?? undefined,
          tag: filters.value.tags.length > 0 ? [...filters.value.tags] : undefined,
          cursor: pageParam ?? undefined,
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: keepPreviousData,
  })

  return {
    filters,
    query,
    rows: computed(() => query.data.value?.pages.flatMap((page) => page.items) ?? []),
    change(part: Partial<Filters>) {
      void router.replace({ query: queryOf({ ...filters.value, ...part }) })
    },
    clear() {
      void router.replace({ query: {} })
    },
  }
}
