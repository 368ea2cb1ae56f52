/** Commands of one controller: history, newest first, mended by events as states change. */
import type { Command } from '@wmoc/api/contracts/commands'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/vue-query'
import { useToast } from '@nuxt/ui/composables'
import { computed } from 'vue'
import { useI18n } from '#src/i18n/use-i18n.ts'
import { applyEvent } from '#src/live/apply-event.ts'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'
import { useErrorText } from '#src/ui/use-error-text.ts'
import type { CommandBody } from './command-input.ts'

export function useCommands(id: () => string) {
  const queries = useQueryClient()
  const toast = useToast()
  const { t } = useI18n()
  const errorText = useErrorText()

  const query = useInfiniteQuery({
    queryKey: computed(() => keys.commands(id())),
    queryFn: ({ pageParam, signal }) =>
      api.commands.list({
        params: { id: id() },
        query: { limit: 30, cursor: pageParam ?? undefined },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
  })

  const cancel = useMutation({
    mutationFn: (command: Command) => api.commands.cancel({ params: { id: id(), commandId: command.id } }),
    onSuccess: () => toast.add({ title: t('commands.cancelled'), icon: 'i-lucide-check' }),
    onError: (error) => toast.add({ title: errorText(error), color: 'error', icon: 'i-lucide-circle-alert' }),
    onSettled: () => queries.invalidateQueries({ queryKey: keys.commands(id()) }),
  })

  return {
    query,
    items: computed(() => query.data.value?.pages.flatMap((page) => page.items) ?? []),
    cancel,
    /** A command just sent is shown at once; its events say the rest. */
    async send(body: CommandBody, key: string) {
      const command = await api.commands.send({
        params: { id: id() },
        body,
        headers: { 'idempotency-key': key },
      })
      applyEvent(queries, { type: 'command.changed', controllerId: id(), command })
    },
  }
}
