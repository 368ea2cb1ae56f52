import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkParts } from './link-parts.ts'

test('only links to this portal can be followed', () => {
  const parts = linkParts(
    'Open http://localhost:8080/verify-email#token=a or https://evil.example/x',
    'http://localhost:8080',
  )
  assert.deepEqual(parts, [
    { text: 'Open ', path: null },
    { text: 'http://localhost:8080/verify-email#token=a', path: '/verify-email#token=a' },
    { text: ' or ', path: null },
    { text: 'https://evil.example/x', path: null },
  ])
})
