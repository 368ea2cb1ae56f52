import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asText, joinLines, matches, MAX_LINES } from './log-lines.ts'

const line = (id: string, second: number, change: object = {}) => ({
  id,
  timestamp: new Date(second * 1_000).toISOString(),
  level: 'info' as const,
  message: 'm',
  ...change,
})

test('the log is in order of time, each line once', () => {
  const lines = joinLines([line('c', 3), line('b', 2)], [line('c', 3), line('d', 4), line('a', 1)])
  assert.deepEqual(
    lines.map(({ id }) => id),
    ['a', 'b', 'c', 'd'],
  )
})

test('a page holds no more lines than it can bear, the newest ones', () => {
  const live = Array.from({ length: MAX_LINES + 10 }, (_, index) => line(String(index), index))
  const lines = joinLines([], live)
  assert.equal(lines.length, MAX_LINES)
  assert.equal(lines.at(-1)?.id, String(MAX_LINES + 9))
})

test('a live line is held to the filters of the person', () => {
  assert.ok(matches(line('a', 1, { level: 'error', message: 'Valve STUCK' }), 'warn', 'stuck'))
  assert.ok(!matches(line('a', 1, { level: 'info' }), 'warn', ''))
  assert.ok(!matches(line('a', 1), null, 'other'))
})

test('a line break in a message makes no line of its own in the file', () => {
  const text = asText([line('a', 0, { message: 'one\r\n2026 ERROR forged' })])
  assert.equal(text.split('\n').length, 2)
})
