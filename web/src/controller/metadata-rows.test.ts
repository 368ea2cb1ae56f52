import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metadataOf, rowsOf } from './metadata-rows.ts'

test('notes keep their kinds over a form that was not touched', () => {
  const before = { floor: 'cellar', count: 3, ok: true, none: null, code: '007' }
  assert.deepEqual(metadataOf(rowsOf(before), before), before)
})

test('a new note is text, a row without a name goes', () => {
  assert.deepEqual(
    metadataOf(
      [
        { key: ' a ', value: '5' },
        { key: ' ', value: 'x' },
      ],
      {},
    ),
    { a: '5' },
  )
})

test('a number that no longer reads as one becomes text', () => {
  assert.deepEqual(metadataOf([{ key: 'count', value: 'many' }], { count: 3 }), { count: 'many' })
})
