/** What one controller is shared with, read and changed. */
import type { NewLink, NewShare, Share, SharedLink } from '@wmoc/api/contracts/sharing'
import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'
import { randomKey } from '#src/ui/random-key.ts'

/** People who may look at it. */
export function useShares(id: string) {
  const queries = useQueryClient()
  const onSettled = () => queries.invalidateQueries({ queryKey: keys.shares(id) })
  return {
    query: useQuery({
      queryKey: keys.shares(id),
      queryFn: ({ signal }) => api.sharing.listShares({ params: { id }, signal }),
    }),
    async add(body: NewShare): Promise<void> {
      await api.sharing.share({ params: { id }, body, headers: { 'idempotency-key': randomKey() } })
      await onSettled()
    },
    remove: useMutation({
      mutationFn: (share: Share) => api.sharing.unshare({ params: { id, shareId: share.id } }),
      onSettled,
    }),
  }
}

/** Links for guests. */
export function useLinks(id: string) {
  const queries = useQueryClient()
  const onSettled = () => queries.invalidateQueries({ queryKey: keys.links(id) })
  return {
    query: useQuery({
      queryKey: keys.links(id),
      queryFn: ({ signal }) => api.sharing.listLinks({ params: { id }, signal }),
    }),
    create: useMutation({
      mutationFn: (body: NewLink) =>
        api.sharing.createLink({ params: { id }, body, headers: { 'idempotency-key': randomKey() } }),
      onSettled,
    }),
    remove: useMutation({
      mutationFn: (link: SharedLink) => api.sharing.removeLink({ params: { id, linkId: link.id } }),
      onSettled,
    }),
  }
}
