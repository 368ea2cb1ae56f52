/** The inbox: what is unread or all of it, page after page; reading is shown at once and told to the server after. */
import type { Notification } from '@wmoc/api/contracts/notifications'
import { useInfiniteQuery, useMutation, useQueryClient, type InfiniteData } from '@tanstack/vue-query'
import { computed, type Ref } from 'vue'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'

type Pages = InfiniteData<{ items: Notification[]; nextCursor: string | null }>

export function useNotifications(onlyUnread: Ref<boolean>) {
  const queries = useQueryClient()
  const listKey = computed(() => keys.notificationList({ unread: onlyUnread.value }))

  const query = useInfiniteQuery({
    queryKey: listKey,
    queryFn: ({ pageParam, signal }) =>
      api.notifications.list({
        query: { limit: 30, unread: onlyUnread.value ? 'true' : undefined, cursor: pageParam ?? undefined },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  })

  function markRead(isMine: (item: Notification) => boolean): void {
    queries.setQueryData<Pages>(listKey.value, (old) => {
      if (!old) return old
      const mend = (item: Notification) => (isMine(item) ? { ...item, isRead: true } : item)
      return { ...old, pages: old.pages.map((page) => ({ ...page, items: page.items.map(mend) })) }
    })
  }

  const settle = () => queries.invalidateQueries({ queryKey: keys.notifications })

  const read = useMutation({
    mutationFn: (id: string) => api.notifications.read({ params: { id } }),
    onMutate: (id) => {
      markRead((item) => item.id === id)
      queries.setQueryData<{ count: number }>(
        keys.unread,
        (old) => old && { count: Math.max(0, old.count - 1) },
      )
    },
    onSettled: settle,
  })
  const readAll = useMutation({
    mutationFn: () => api.notifications.readAll(),
    onMutate: () => {
      markRead(() => true)
      queries.setQueryData(keys.unread, { count: 0 })
    },
    onSettled: settle,
  })

  return {
    query,
    items: computed(() => query.data.value?.pages.flatMap((page) => page.items) ?? []),
    read,
    readAll,
  }
}
