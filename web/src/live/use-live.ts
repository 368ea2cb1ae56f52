/** The portal's one stream of events: started with the session, kept for all pages, quiet while nobody looks. */
import type { StreamEvent } from '@wmoc/api/contracts/events'
import type { QueryClient } from '@tanstack/vue-query'
import { onScopeDispose, readonly, shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { api } from '#src/session/api.ts'
import { applyEvent } from './apply-event.ts'
import { createLiveStream, type LiveState } from './live-stream.ts'

/** A hidden tab gives its connection back after this long: browsers keep only six to one HTTP/1.1 host. */
const HIDDEN_MS = 30_000

type Listener = (event: StreamEvent) => void
const listeners = new Set<Listener>()
const wanted = { logs: new Map<string, number>(), metrics: new Map<string, number>() }
const state = shallowRef<LiveState>('closed')
let restartTimer: ReturnType<typeof setTimeout> | undefined

const stream = createLiveStream({
  open: (lastEventId, signal) =>
    api.events.stream({
      query: { logs: listed(wanted.logs), metrics: listed(wanted.metrics) },
      headers: lastEventId === null ? {} : { 'last-event-id': lastEventId },
      signal,
    }),
  onEvent: (event) => listeners.forEach((listener) => listener(event)),
  onState: (next) => {
    state.value = next
  },
  sleep: (ms, signal) =>
    new Promise((done) => {
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true })
    }),
  random: Math.random,
})

function listed(ids: ReadonlyMap<string, number>): string | undefined {
  return ids.size === 0 ? undefined : [...ids.keys()].slice(0, 20).join(',')
}

/** Once, in the frame that surrounds all signed-in pages. */
export function startLive(queries: QueryClient): void {
  const listener: Listener = (event) => applyEvent(queries, event)
  let hiddenTimer: ReturnType<typeof setTimeout> | undefined
  const onVisible = () => {
    clearTimeout(hiddenTimer)
    if (document.visibilityState === 'visible') stream.start()
    else hiddenTimer = setTimeout(stream.stop, HIDDEN_MS)
  }
  const onOnline = () => stream.restart()
  listeners.add(listener)
  document.addEventListener('visibilitychange', onVisible)
  window.addEventListener('online', onOnline)
  stream.start()
  onScopeDispose(() => {
    clearTimeout(hiddenTimer)
    document.removeEventListener('visibilitychange', onVisible)
    window.removeEventListener('online', onOnline)
    listeners.delete(listener)
    stream.forget()
  })
}

/** Hears events for as long as the component lives. */
export function onLiveEvent(listener: Listener): void {
  listeners.add(listener)
  onScopeDispose(() => listeners.delete(listener))
}

/** Asks the stream for the logs or metrics of one controller for as long as the component lives. */
export function wantLive(what: 'logs' | 'metrics', id: MaybeRefOrGetter<string>): void {
  const counts = wanted[what]
  watch(
    () => toValue(id),
    (current, _before, onCleanup) => {
      counts.set(current, (counts.get(current) ?? 0) + 1)
      restartSoon()
      onCleanup(() => {
        const left = (counts.get(current) ?? 1) - 1
        if (left > 0) counts.set(current, left)
        else counts.delete(current)
        restartSoon()
      })
    },
    { immediate: true },
  )
}

function restartSoon(): void {
  clearTimeout(restartTimer)
  restartTimer = setTimeout(stream.restart, 50)
}

export const liveState = readonly(state)
