/** What one event of the stream changes in what the portal has read already. */
import type { Command } from '@wmoc/api/contracts/commands'
import type { Controller } from '@wmoc/api/contracts/controllers'
import type { StreamEvent } from '@wmoc/api/contracts/events'
import type { InfiniteData, QueryClient } from '@tanstack/vue-query'
import { keys } from './keys.ts'

type Page<T> = { items: T[]; nextCursor: string | null }
type Pages<T> = InfiniteData<Page<T>>
type Of<T extends StreamEvent['type']> = Extract<StreamEvent, { type: T }>

/** Mends the caches where the event says everything, and marks the rest to be read again. */
export function applyEvent(queries: QueryClient, event: StreamEvent): void {
  switch (event.type) {
    case 'controller.status':
      return applyStatus(queries, event)
    case 'controller.activated':
    case 'controller.updated':
      invalidate(queries, keys.lists, keys.summary, keys.controller(event.controllerId))
      return
    case 'controller.deleted':
      queries.removeQueries({ queryKey: keys.controller(event.controllerId) })
      invalidate(queries, keys.lists, keys.summary)
      return
    case 'command.changed':
      return applyCommand(queries, event)
    case 'notification.created':
      queries.setQueryData<{ count: number }>(keys.unread, (old) => old && { count: old.count + 1 })
      invalidate(queries, ['notifications', 'list'])
      return
    case 'notification.read':
      invalidate(queries, keys.unread, ['notifications', 'list'])
      return
    case 'metrics.received':
      return applyMetrics(queries, event)
    case 'logs.received':
      return
    case 'stream.reset':
      void queries.invalidateQueries()
  }
}

function invalidate(queries: QueryClient, ...names: readonly (readonly unknown[])[]): void {
  for (const queryKey of names) void queries.invalidateQueries({ queryKey })
}

function applyStatus(queries: QueryClient, event: Of<'controller.status'>): void {
  const at = new Date(event.at).toISOString()
  const mend = (row: Controller): Controller =>
    row.id === event.controllerId ? { ...row, status: event.status, statusSince: at, lastSeenAt: at } : row
  queries.setQueriesData<Pages<Controller>>({ queryKey: keys.lists }, (old) => mapItems(old, mend))
  queries.setQueryData<Controller>(keys.controller(event.controllerId), (old) => old && mend(old))
  invalidate(queries, keys.summary, keys.status(event.controllerId))
}

function applyCommand(queries: QueryClient, { controllerId, command }: Of<'command.changed'>): void {
  queries.setQueryData<Pages<Command>>(keys.commands(controllerId), (old) => {
    if (!old?.pages[0]) return old
    if (old.pages.some((page) => page.items.some((item) => item.id === command.id))) {
      return mapItems(old, (item) => (item.id === command.id ? newer(item, command) : item))
    }
    const [first, ...rest] = old.pages
    return { ...old, pages: [{ ...first, items: [command, ...first.items] }, ...rest] }
  })
  invalidate(queries, keys.status(controllerId))
}

/** Events and answers race; a finished command never goes back. */
function newer(have: Command, got: Command): Command {
  return have.finishedAt !== null && got.finishedAt === null ? have : got
}

type MetricTypes = { items: { type: string; lastValue: unknown; lastAt: string; numeric: boolean }[] }

function applyMetrics(queries: QueryClient, event: Of<'metrics.received'>): void {
  const key = keys.metricTypes(event.controllerId)
  const known = queries.getQueryData<MetricTypes>(key)
  if (!known) return
  const names = new Set(known.items.map((item) => item.type))
  if (event.items.some((item) => !names.has(item.type))) invalidate(queries, key)
  const last = new Map(event.items.map((item) => [item.type, item]))
  queries.setQueryData<MetricTypes>(key, {
    items: known.items.map((item) => {
      const got = last.get(item.type)
      if (!got || got.t < Date.parse(item.lastAt)) return item
      return { ...item, lastValue: got.value, lastAt: new Date(got.t).toISOString() }
    }),
  })
}

function mapItems<T>(old: Pages<T> | undefined, map: (item: T) => T): Pages<T> | undefined {
  return old && { ...old, pages: old.pages.map((page) => ({ ...page, items: page.items.map(map) })) }
}
