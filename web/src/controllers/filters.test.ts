import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filtersOf, isFiltered, isSameView, queryOf } from './filters.ts'

test('filters survive the way through the address', () => {
  const filters = { q: 'boiler', status: 'offline', tags: ['a', 'b'], sort: '-lastSeenAt' } as const
  assert.deepEqual(filtersOf(queryOf(filters) as never), filters)
  assert.ok(isFiltered(filters))
})

test('the usual view has the shortest address', () => {
  assert.deepEqual(queryOf({ q: '', status: null, tags: [], sort: 'name' }), {})
})

test('what is unknown in an address is left out', () => {
  const filters = filtersOf({ q: ['a', 'b'], status: 'broken', tag: ['x', null, 'x', ''], sort: 'evil' })
  assert.deepEqual(filters, { q: '', status: null, tags: ['x'], sort: 'name' })
  assert.equal(isFiltered({ ...filters, tags: [] }), false)
})

test('a view is the same whatever the order of its tags', () => {
  const view = { q: '', status: null, tags: ['a', 'b'], sort: 'name' } as const
  assert.ok(isSameView(view, { ...view, tags: ['b', 'a'] }))
  for (const other of [{ q: 'x' }, { status: 'online' }, { tags: ['a'] }, { sort: '-name' }] as const) {
    assert.ok(!isSameView(view, { ...view, ...other }))
  }
})
