import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { QueryClient } from '@tanstack/vue-query'
import type { Command } from '@wmoc/api/contracts/commands'
import { applyEvent } from './apply-event.ts'
import { keys } from './keys.ts'

const ID = '01900000-0000-7000-8000-000000000001'
const OTHER = '01900000-0000-7000-8000-000000000002'
const pages = <T>(items: T[]) => ({ pages: [{ items, nextCursor: null }], pageParams: [null] })
const command = (change: Partial<Command>) =>
  ({ id: 'c1', state: 'queued', finishedAt: null, ...change }) as Command

function isStale(queries: QueryClient, key: readonly unknown[]): boolean {
  return queries.getQueryState(key)?.isInvalidated === true
}

suite('an event of the stream', () => {
  test('changes the status of its controller in every list and on its page', () => {
    const queries = new QueryClient()
    const rows = [
      { id: ID, status: 'online' },
      { id: OTHER, status: 'online' },
    ]
    queries.setQueryData(keys.list({ q: 'a' }), pages(rows))
    queries.setQueryData(keys.controller(ID), rows[0])
    applyEvent(queries, {
      type: 'controller.status',
      controllerId: ID,
      status: 'offline',
      at: 1_700_000_000_000,
    })
    const list = queries.getQueryData<ReturnType<typeof pages<(typeof rows)[0]>>>(keys.list({ q: 'a' }))
    assert.deepEqual(
      list?.pages[0]?.items.map((row) => row.status),
      ['offline', 'online'],
    )
    assert.equal(queries.getQueryData<{ status: string }>(keys.controller(ID))?.status, 'offline')
  })

  test('puts a new command first and moves a known one on', () => {
    const queries = new QueryClient()
    queries.setQueryData(keys.commands(ID), pages([command({ id: 'c0' })]))
    applyEvent(queries, { type: 'command.changed', controllerId: ID, command: command({}) })
    applyEvent(queries, { type: 'command.changed', controllerId: ID, command: command({ state: 'sent' }) })
    const items = queries.getQueryData<ReturnType<typeof pages<Command>>>(keys.commands(ID))?.pages[0]?.items
    assert.deepEqual(
      items?.map((item) => [item.id, item.state]),
      [
        ['c1', 'sent'],
        ['c0', 'queued'],
      ],
    )
  })

  test('never takes a finished command back', () => {
    const queries = new QueryClient()
    const done = command({ state: 'acknowledged', finishedAt: '2026-01-01T00:00:00Z' })
    queries.setQueryData(keys.commands(ID), pages([done]))
    applyEvent(queries, { type: 'command.changed', controllerId: ID, command: command({ state: 'sent' }) })
    const items = queries.getQueryData<ReturnType<typeof pages<Command>>>(keys.commands(ID))?.pages[0]?.items
    assert.equal(items?.[0]?.state, 'acknowledged')
  })

  test('shows a newer value of a known metric and reads the types again for a new one', () => {
    const queries = new QueryClient()
    const known = { type: 't', lastValue: 1, lastAt: '2026-01-01T00:00:00.000Z', numeric: true }
    queries.setQueryData(keys.metricTypes(ID), { items: [known] })
    const at = Date.parse(known.lastAt)
    applyEvent(queries, {
      type: 'metrics.received',
      controllerId: ID,
      items: [{ type: 't', value: 0, t: at - 1 }],
    })
    assert.deepEqual(queries.getQueryData(keys.metricTypes(ID)), { items: [known] })
    applyEvent(queries, {
      type: 'metrics.received',
      controllerId: ID,
      items: [
        { type: 't', value: 2, t: at + 5 },
        { type: 'new', value: 1, t: at },
      ],
    })
    const items = queries.getQueryData<{ items: (typeof known)[] }>(keys.metricTypes(ID))?.items
    assert.equal(items?.[0]?.lastValue, 2)
    assert.ok(items?.length === 1)
  })

  test('counts a new notification as unread', () => {
    const queries = new QueryClient()
    queries.setQueryData(keys.unread, { count: 2 })
    applyEvent(queries, { type: 'notification.created', notification: {} as never })
    assert.deepEqual(queries.getQueryData(keys.unread), { count: 3 })
  })

  test('forgets a deleted controller', () => {
    const queries = new QueryClient()
    queries.setQueryData(keys.controller(ID), {})
    queries.setQueryData(keys.status(ID), {})
    applyEvent(queries, { type: 'controller.deleted', controllerId: ID })
    assert.equal(queries.getQueryData(keys.controller(ID)), undefined)
    assert.equal(queries.getQueryData(keys.status(ID)), undefined)
  })

  test('makes everything be read again when the stream was cut', () => {
    const queries = new QueryClient()
    queries.setQueryData(keys.summary, {})
    queries.setQueryData(keys.unread, { count: 1 })
    applyEvent(queries, { type: 'stream.reset' })
    assert.ok(isStale(queries, keys.summary) && isStale(queries, keys.unread))
  })
})
