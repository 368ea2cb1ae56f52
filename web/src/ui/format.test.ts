import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, duration, jsonLine, percent, relativeTime, shortNumber } from './format.ts'

const NOW = Date.UTC(2026, 0, 10)

test('times are told relative to now', () => {
  assert.equal(relativeTime(NOW - 10_000, NOW, 'en'), 'now')
  assert.equal(relativeTime(NOW - 50_000, NOW, 'en'), '1 minute ago')
  assert.equal(relativeTime(NOW + 600_000, NOW, 'en'), 'in 10 minutes')
  assert.equal(relativeTime(NOW - 3 * 3_600_000, NOW, 'ru'), '3 часа назад')
  assert.equal(relativeTime(NOW - 86_400_000, NOW, 'en'), 'yesterday')
})

test('a duration has its two largest units', () => {
  assert.equal(duration(0, 'en'), '0 sec')
  assert.equal(duration(125_000, 'en'), '2 min 5 sec')
  assert.equal(duration(3_600_000, 'en'), '1 hr')
  assert.equal(duration(90_061_000, 'en'), '1 day 1 hr')
  assert.equal(duration(-5, 'en'), '0 sec')
})

test('almost all is never shown as all', () => {
  assert.equal(percent(1, 'en'), '100%')
  assert.equal(percent(0.99999, 'en'), '99.9%')
})

test('numbers and JSON stay short', () => {
  assert.equal(shortNumber(175_792, 'en'), '175,792')
  assert.equal(shortNumber(21.456789, 'en'), '21.46')
  assert.equal(jsonLine({ a: 1 }), '{"a":1}')
  assert.equal(jsonLine('x'.repeat(200), 10), `${'x'.repeat(9)}…`)
})

test('amounts of data have a unit that fits', () => {
  assert.equal(bytes(0, 'en'), '0 bytes')
  assert.equal(bytes(999, 'en'), '999 bytes')
  assert.equal(bytes(12_345, 'en'), '12.3 kB')
  assert.equal(bytes(7_000_000_000, 'en'), '7 GB')
})
