import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choose } from './selection.ts'

const ORDER = ['a', 'b', 'c', 'd']

test('one box sets and clears its own row', () => {
  const one = choose(new Set(), ORDER, { id: 'b', isChosen: true, from: null })
  assert.deepEqual([...one], ['b'])
  assert.deepEqual([...choose(one, ORDER, { id: 'b', isChosen: false, from: null })], [])
})

test('with Shift all rows between follow, in either direction', () => {
  const change = { isChosen: true }
  assert.deepEqual([...choose(new Set(), ORDER, { ...change, id: 'd', from: 'b' })], ['b', 'c', 'd'])
  assert.deepEqual([...choose(new Set(), ORDER, { ...change, id: 'a', from: 'b' })], ['a', 'b'])
  const some = choose(new Set(ORDER), ORDER, { id: 'c', isChosen: false, from: 'b' })
  assert.deepEqual([...some], ['a', 'd'])
})

test('a row that has left the list begins no range', () => {
  assert.deepEqual([...choose(new Set(), ORDER, { id: 'b', isChosen: true, from: 'gone' })], ['b'])
})
