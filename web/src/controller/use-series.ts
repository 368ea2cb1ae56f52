/** One series of one controller: what is stored, and what comes while the page is open. */
import type { METRIC_AGGREGATIONS } from '@wmoc/api/contracts/telemetry'
import { keepPreviousData, useQuery } from '@tanstack/vue-query'
import { computed, shallowRef, watch } from 'vue'
import { keys } from '#src/live/keys.ts'
import { onLiveEvent } from '#src/live/use-live.ts'
import { api } from '#src/session/api.ts'
import { useNow } from '#src/ui/use-now.ts'
import { numericPoints, rangeMs, withLive, type Point, type Range, type Step } from './metric-ranges.ts'

export interface SeriesChoice {
  readonly id: string
  readonly type: string
  readonly range: Range
  readonly step: Step
  readonly aggregation: (typeof METRIC_AGGREGATIONS)[number]
}

/** Aggregated steps are read again; live values between two readings bridge the gap. */
const REFRESH_MS = 60_000

export function useSeries(choice: () => SeriesChoice) {
  const live = shallowRef<readonly Point[]>([])
  const now = useNow()

  const query = useQuery({
    queryKey: computed(() => {
      const { id, ...what } = choice()
      return keys.metrics(id, what)
    }),
    queryFn: ({ signal }) => {
      const { id, type, range, step, aggregation } = choice()
      const toMs = Date.now()
      return api.telemetry.metrics({
        params: { id },
        query: {
          type,
          step,
          aggregation,
          from: new Date(toMs - rangeMs(range)).toISOString(),
          to: new Date(toMs).toISOString(),
        },
        signal,
      })
    },
    refetchInterval: REFRESH_MS,
    placeholderData: keepPreviousData,
  })

  onLiveEvent((event) => {
    const { id, type } = choice()
    if (event.type !== 'metrics.received' || event.controllerId !== id) return
    const got = event.items.filter((item) => item.type === type).map((item) => ({ t: item.t, v: item.value }))
    if (got.length > 0) live.value = [...live.value, ...numericPoints(got)].slice(-1_000)
  })
  watch(
    () => [choice().id, choice().type],
    () => (live.value = []),
  )

  const points = computed(() => {
    const stored = numericPoints(query.data.value?.series[0]?.points ?? [])
    return withLive(stored, live.value, now.value - rangeMs(choice().range))
  })
  return { query, points }
}
