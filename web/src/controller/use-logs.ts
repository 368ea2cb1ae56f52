/** The log of one controller: what is stored for the filters, and the live tail after it. */
import type { LogEntry } from '@wmoc/api/contracts/telemetry'
import { useInfiniteQuery } from '@tanstack/vue-query'
import { computed, ref, shallowRef, watch } from 'vue'
import { keys } from '#src/live/keys.ts'
import { onLiveEvent, wantLive } from '#src/live/use-live.ts'
import { api } from '#src/session/api.ts'
import { joinLines, matches, MAX_LINES, type Level } from './log-lines.ts'

export interface LogFilters {
  readonly level: Level | null
  readonly text: string
}

export function useLogs(id: () => string, filters: () => LogFilters) {
  const live = shallowRef<readonly LogEntry[]>([])
  /** What came while paused: counted, shown when the person goes on. */
  const held = shallowRef<readonly LogEntry[]>([])
  const isPaused = ref(false)
  wantLive('logs', id)

  const query = useInfiniteQuery({
    queryKey: computed(() => keys.logs(id(), filters())),
    queryFn: ({ pageParam, signal }) =>
      api.telemetry.logs({
        params: { id: id() },
        query: {
          limit: 200,
          level: filters().level ?? undefined,
          text: filters().text || undefined,
          cursor: pageParam ?? undefined,
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.nextCursor,
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  })

  onLiveEvent((event) => {
    if (event.type === 'stream.reset') void query.refetch()
    if (event.type !== 'logs.received' || event.controllerId !== id()) return
    const { level, text } = filters()
    const got = event.items.filter((entry) => matches(entry, level, text))
    const target = isPaused.value ? held : live
    if (got.length > 0) target.value = [...target.value, ...got].slice(-MAX_LINES)
  })

  watch(
    () => [id(), filters().level, filters().text],
    () => {
      live.value = []
      held.value = []
    },
  )

  return {
    query,
    isPaused,
    heldCount: computed(() => held.value.length),
    lines: computed(() => joinLines(query.data.value?.pages.flatMap((page) => page.items) ?? [], live.value)),
    pause() {
      isPaused.value = true
    },
    resume() {
      isPaused.value = false
      live.value = [...live.value, ...held.value].slice(-MAX_LINES)
      held.value = []
    },
  }
}
