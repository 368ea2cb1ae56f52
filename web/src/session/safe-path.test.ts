import assert from 'node:assert/strict'
import { test } from 'node:test'
import { safePath } from './safe-path.ts'

test('goes only to paths of this portal', () => {
  for (const evil of [
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example/',
    'javascript:alert(1)',
    '/\t/evil.example',
    '/\n//evil.example',
    'evil',
    '',
    undefined,
    ['/a', '/b'],
  ]) {
    const path = safePath(evil)
    assert.ok(
      new URL(path, 'http://portal.example').origin === 'http://portal.example',
      `${String(evil)} → ${path}`,
    )
    assert.ok(!path.startsWith('//'), path)
  }
  assert.equal(safePath('/controllers?q=a&tag=b#x'), '/controllers?q=a&tag=b#x')
})
