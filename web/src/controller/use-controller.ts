import { useQuery } from '@tanstack/vue-query'
import { computed, toValue, type MaybeRefOrGetter } from 'vue'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'

/** One controller, as every tab of its page reads it; kept fresh by events, and by asking every `askMs` where given. */
export function useController(id: MaybeRefOrGetter<string>, askMs?: number) {
  return useQuery({
    queryKey: computed(() => keys.controller(toValue(id))),
    queryFn: ({ signal }) => api.controllers.get({ params: { id: toValue(id) }, signal }),
    ...(askMs === undefined ? {} : { refetchInterval: askMs }),
  })
}

/** Its connection: since when, from where, the last sessions. */
export function useControllerStatus(id: MaybeRefOrGetter<string>) {
  return useQuery({
    queryKey: computed(() => keys.status(toValue(id))),
    queryFn: ({ signal }) => api.controllers.status({ params: { id: toValue(id) }, signal }),
  })
}
