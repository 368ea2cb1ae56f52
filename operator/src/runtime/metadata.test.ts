import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonical, hashOf } from './metadata.ts'
import { keyOf, parseKey } from './objects.ts'

function reversed(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(reversed)
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, reversed(inner)]),
  )
}

test('a hash does not know the order of keys, and tells different values apart', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
      assert.equal(hashOf(one), hashOf(reversed(one)))
      assert.match(hashOf(one), /^[0-9a-f]{10}$/)
      assert.equal(canonical(one) === canonical(other), hashOf(one) === hashOf(other))
    }),
  )
  assert.equal(hashOf({ a: 1, b: undefined }), hashOf({ a: 1 }))
  assert.notEqual(hashOf([1, 2]), hashOf([2, 1]))
})

test('a key names an object, with its namespace or without', () => {
  for (const ref of [
    { namespace: 'team', name: 'gw' },
    { namespace: '', name: 'node' },
  ]) {
    assert.deepEqual(parseKey(keyOf(ref)), ref)
    assert.equal(keyOf({ metadata: ref }), keyOf(ref))
  }
})
