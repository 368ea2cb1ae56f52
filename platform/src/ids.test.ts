import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hmacSha256Hex, randomToken, safeEqual, sha256Hex, uuidv7 } from './ids.ts'

test('makes version 7 UUIDs that sort by their millisecond', () => {
  const ids = [1_000, 2_000, 1_700_000_000_000, 1_700_000_000_001].map((now) => uuidv7(now))
  assert.deepEqual(ids.toSorted(), ids)
  for (const id of ids)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(new Set(Array.from({ length: 1_000 }, () => uuidv7(5))).size, 1_000)
})

test('hashes as the standards say', () => {
  assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  // RFC 4231, test case 2
  assert.equal(
    hmacSha256Hex('Jefe', 'what do ya want for nothing?'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  )
})

test('compares without being fooled by length or content', () => {
  assert.equal(safeEqual('abc', 'abc'), true)
  assert.equal(safeEqual('abc', 'abd'), false)
  assert.equal(safeEqual('abc', 'abcd'), false)
  assert.equal(randomToken(32).length, 43)
})
