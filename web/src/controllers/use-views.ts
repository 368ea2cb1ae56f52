/** Views of the list that the person keeps. The address stays the truth: a view is a link. */
import type { NewView, SavedView } from '@wmoc/api/contracts/controllers'
import { useToast } from '@nuxt/ui/composables'
import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query'
import { computed } from 'vue'
import { useI18n } from '#src/i18n/use-i18n.ts'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'
import { useErrorText } from '#src/ui/use-error-text.ts'

export function useViews() {
  const { t } = useI18n()
  const toast = useToast()
  const queries = useQueryClient()
  const errorText = useErrorText()
  const query = useQuery({
    queryKey: keys.views,
    queryFn: ({ signal }) => api.controllers.listViews({ signal }),
  })
  const change = (map: (items: readonly SavedView[]) => SavedView[]) =>
    queries.setQueryData<{ items: SavedView[] }>(keys.views, (old) => old && { items: map(old.items) })

  async function create(body: NewView): Promise<void> {
    const made = await api.controllers.createView({ body })
    change((items) => [...items, made].toSorted((a, b) => a.name.localeCompare(b.name)))
  }

  const undo = useMutation({ mutationFn: create, onError: tell })
  const remove = useMutation({
    mutationFn: (view: SavedView) => api.controllers.removeView({ params: { viewId: view.id } }),
    onError: tell,
    onSuccess(_, { id, name, filters }) {
      change((items) => items.filter((item) => item.id !== id))
      toast.add({
        title: t('views.removed', { name }),
        icon: 'i-lucide-bookmark-x',
        actions: [
          {
            label: t('bulk.undo'),
            color: 'neutral',
            variant: 'outline',
            onClick: () => undo.mutate({ name, filters }),
          },
        ],
      })
    },
  })

  function tell(error: unknown): void {
    toast.add({ title: errorText(error), color: 'error', icon: 'i-lucide-circle-alert' })
  }

  return { views: computed(() => query.data.value?.items ?? []), create, remove }
}
