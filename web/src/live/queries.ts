import { QueryClient } from '@tanstack/vue-query'
import { ApiError } from '@wmoc/api/client'

/** What was read stays good until an event says otherwise; only what may pass by itself is tried again. */
export function createQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status < 500),
        networkMode: 'always',
      },
      mutations: { networkMode: 'always' },
    },
  })
}
