import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { ROLES } from '@wmoc/protocol/control-plane'
import { z } from 'zod'
import { urlOf } from './client.ts'
import { decodeCursor, encodeCursor, toPage } from './cursor.ts'
import { requirePermission, roleAllows, ROLE_PERMISSIONS } from './permissions.ts'
import { formatFrame } from './sse.ts'
import { effectiveTier } from './tiers.ts'

suite('cursors', () => {
  const schema = z.tuple([z.string(), z.number()])

  test('bring back what was put in', () => {
    assert.deepEqual(decodeCursor(encodeCursor('name', ['ё', 2]), 'name', schema), ['ё', 2])
    assert.equal(decodeCursor(undefined, 'name', schema), null)
  })

  test('of another sort, of other values or made up are a 400', () => {
    const made = [
      encodeCursor('-name', ['a', 1]),
      encodeCursor('name', [1, 'a']),
      'rubbish',
      '',
      'bnVsbA',
      'W10',
    ]
    for (const text of made) {
      assert.throws(() => decodeCursor(text, 'name', schema), { code: 'validation_failed', status: 400 })
    }
  })

  test('come only with pages that have a next one', () => {
    const page = (found: number[]) => toPage(found, 2, String, String)
    assert.deepEqual(page([1, 2]), { items: ['1', '2'], nextCursor: null })
    assert.deepEqual(page([1, 2, 3]), { items: ['1', '2'], nextCursor: '2' })
  })
})

suite('permissions', () => {
  test('grow from viewer to owner', () => {
    const sizes = [...ROLES].toReversed().map((role) => ROLE_PERMISSIONS[role].length)
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => a - b),
    )
    assert.equal(roleAllows('viewer', 'controllers.command'), false)
    assert.equal(roleAllows('operator', 'controllers.command'), true)
    assert.equal(roleAllows('operator', 'controllers.delete'), false)
  })

  test('answer 404 to a stranger and 403 to a role that lacks them', () => {
    assert.throws(() => requirePermission(null, 'controllers.read'), { code: 'not_found' })
    assert.throws(() => requirePermission('viewer', 'controllers.write'), { code: 'forbidden' })
    assert.equal(requirePermission('admin', 'controllers.write'), 'admin')
  })
})

test('a tier without an end never runs out; one that has is free', () => {
  const now = new Date(1_000)
  assert.equal(effectiveTier('premium', null, now), 'premium')
  assert.equal(effectiveTier('premium', new Date(1_001), now), 'premium')
  assert.equal(effectiveTier('premium', new Date(1_000), now), 'free')
})

test('a frame of the stream can not be broken out of', () => {
  const frame = formatFrame({ id: '1\n\ndata: x', event: 'a\r\nb', data: { text: 'one\n\ndata: two' } })
  assert.equal(
    frame,
    String.raw`id: 1  data: x` + '\nevent: a  b\n' + String.raw`data: {"text":"one\n\ndata: two"}` + '\n\n',
  )
  assert.equal(formatFrame({}), ':\n\n')
})

test('the client escapes what it puts in paths and queries', () => {
  const input = { params: { id: '../a b' }, query: { q: 'a&b', tag: ['x', 'y'], none: undefined } }
  assert.equal(urlOf('/api/:id/x', input), '/api/..%2Fa%20b/x?q=a%26b&tag=x&tag=y')
})
