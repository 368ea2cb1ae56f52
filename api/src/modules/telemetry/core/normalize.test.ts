import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { cleanJson, cleanText, daysOf, eventTime, MAX_PAST_MS, metricRows } from './normalize.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const CONTROLLER = '0190a000-0000-7000-8000-000000000001'
const batch = (items: { type: string; value: never | unknown; timestamp?: number | string }[]) => ({
  kind: 'metrics' as const,
  controllerId: CONTROLLER,
  stream: 's',
  seq: 1,
  receivedAt: NOW,
  items: items as { type: string; value: string }[],
})
let count = 0
const nextId = (): string => `id-${(count += 1)}`

suite('what a device sends', () => {
  test('loses NUL characters and halves of surrogates, and nothing else', () => {
    assert.equal(cleanText('a\0b\uD800c\uDC00'), 'a\uFFFDb\uFFFDc\uFFFD')
    assert.equal(cleanText('тест 🚀'), 'тест 🚀')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = cleanText(text)
        assert.ok(clean.isWellFormed() && !clean.includes('\0'))
      }),
    )
  })

  test('keeps __proto__ as an ordinary key', () => {
    const clean = cleanJson(JSON.parse('{"__proto__":{"polluted":1},"a\\u0000":"\\ud800"}'))
    assert.equal(JSON.stringify(clean), '{"__proto__":{"polluted":1},"a\uFFFD":"\uFFFD"}')
    assert.equal(({} as { polluted?: number }).polluted, undefined)
  })

  test('becomes null where a number is too large for JSON', () => {
    assert.equal(cleanJson(JSON.parse('1e400')), null)
    assert.deepEqual(cleanJson(JSON.parse('[1e400,-1e400,1]')), [null, null, 1])
  })

  test('is cut below the depth of the protocol', () => {
    const deep = JSON.parse(`${'['.repeat(200)}1${']'.repeat(200)}`)
    assert.equal(JSON.stringify(cleanJson(deep)), `${'['.repeat(16)}null${']'.repeat(16)}`)
  })

  test('counts as a number only where it can be added up', () => {
    const rows = metricRows(
      batch([1.5, 1e308, true, '7', null, { a: 1 }, -3].map((value) => ({ type: 't', value }))),
      nextId,
    )
    assert.deepEqual(
      rows.map((row) => row.number),
      [1.5, null, null, null, null, null, -3],
    )
    assert.equal(rows[1]?.value, 1e308)
  })

  test('keeps its time within a week back and five minutes ahead, else gets the time of receipt', () => {
    assert.equal(eventTime(undefined, NOW), NOW)
    assert.equal(eventTime(NOW - MAX_PAST_MS, NOW), NOW - MAX_PAST_MS)
    assert.equal(eventTime(NOW - MAX_PAST_MS - 1, NOW), NOW)
    assert.equal(eventTime(NOW + 300_000, NOW), NOW + 300_000)
    assert.equal(eventTime(NOW + 300_001, NOW), NOW)
    assert.equal(eventTime('2026-11-21T13:59:00+02:00', NOW), NOW - 60_000)
    assert.equal(eventTime('never', NOW), NOW)
    assert.equal(eventTime(0, NOW), NOW)
  })

  test('falls on days of UTC', () => {
    const at = ['2026-11-20T23:59:59.999Z', '2026-11-21T00:00:00Z', '2026-11-21T05:00:00Z'].map((text) => ({
      at: Date.parse(text),
    }))
    assert.deepEqual(daysOf(at), ['2026-11-20', '2026-11-21'])
  })
})
