import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { daysOf, eventTime, MAX_PAST_MS, metricRows } from './normalize.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const CONTROLLER = '0190a000-0000-7000-8000-000000000001'
const batch = (items: { type: string; value: unknown; timestamp?: number | string }[]) => ({
  kind: 'metrics' as const,
  controllerId: CONTROLLER,
  stream: 's',
  seq: 1,
  receivedAt: NOW,
  items: items as { type: string; value: string }[],
})
const IDS = ['1', '2', '3']

suite('what a device sends', () => {
  test('loses NUL characters and halves of surrogates, keeps __proto__ as a key', () => {
    const value: unknown = JSON.parse('{"__proto__":{"polluted":1},"a\\u0000":"\\ud800"}')
    const [row] = metricRows(batch([{ type: 'a\0b', value }]), IDS)
    assert.equal(row?.type, 'a\uFFFDb')
    assert.equal(JSON.stringify(row?.value), '{"__proto__":{"polluted":1},"a\uFFFD":"\uFFFD"}')
    assert.equal(({} as { polluted?: number }).polluted, undefined)
  })

  test('becomes null where a number is too large for JSON', () => {
    const values = [JSON.parse('1e400'), JSON.parse('[-1e400,1]')].map((value: unknown) => ({
      type: 't',
      value,
    }))
    assert.deepEqual(
      metricRows(batch(values), IDS).map((row) => row.value),
      [null, [null, 1]],
    )
  })

  test('becomes null where it is nested deeper than the protocol allows', () => {
    const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}1${']'.repeat(depth)}`)
    const values = [nested(16), nested(17), nested(5_000)].map((value) => ({ type: 't', value }))
    assert.deepEqual(
      metricRows(batch(values), IDS).map((row) => row.value),
      [nested(16), null, null],
    )
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
