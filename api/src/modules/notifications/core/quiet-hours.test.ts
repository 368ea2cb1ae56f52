import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { isTimeZone, quietUntil } from './quiet-hours.ts'

/** The end of the quiet hours around a moment, as text in UTC; null when the moment is not quiet. */
function end(now: string, from: string, to: string, timeZone: string): string | null {
  const until = quietUntil(Date.parse(now), { from, to, timeZone })
  return until === null ? null : new Date(until).toISOString()
}

suite('quiet hours', () => {
  test('end at the hour of the wall clock, over midnight', () => {
    assert.equal(end('2026-06-10T21:30:00Z', '22:00', '07:00', 'Europe/Berlin'), '2026-06-11T05:00:00.000Z')
    assert.equal(end('2026-06-10T03:00:30Z', '22:00', '07:00', 'Europe/Berlin'), '2026-06-10T05:00:00.000Z')
    assert.equal(end('2026-06-10T05:00:00Z', '22:00', '07:00', 'Europe/Berlin'), null)
    assert.equal(end('2026-06-10T19:59:59Z', '22:00', '07:00', 'Europe/Berlin'), null)
  })

  test('are an hour shorter in the night the clock goes forward', () => {
    // Berlin 2026-03-29: 02:00 CET becomes 03:00 CEST. 22:30 CET is 21:30Z; 07:00 CEST is 05:00Z.
    assert.equal(end('2026-03-28T21:30:00Z', '22:00', '07:00', 'Europe/Berlin'), '2026-03-29T05:00:00.000Z')
    // New York 2026-03-08: 02:00 EST becomes 03:00 EDT. 07:00 EDT is 11:00Z.
    assert.equal(
      end('2026-03-08T03:30:00Z', '22:00', '07:00', 'America/New_York'),
      '2026-03-08T11:00:00.000Z',
    )
  })

  test('are an hour longer in the night the clock goes back', () => {
    // Berlin 2026-10-25: 03:00 CEST becomes 02:00 CET. 07:00 CET is 06:00Z.
    assert.equal(end('2026-10-24T20:30:00Z', '22:00', '07:00', 'Europe/Berlin'), '2026-10-25T06:00:00.000Z')
    // New York 2026-11-01: 02:00 EDT becomes 01:00 EST. 07:00 EST is 12:00Z.
    assert.equal(
      end('2026-11-01T03:00:00Z', '22:00', '07:00', 'America/New_York'),
      '2026-11-01T12:00:00.000Z',
    )
  })

  test('end after the gap when the clock skips their end', () => {
    assert.equal(end('2026-03-28T22:00:00Z', '22:00', '02:30', 'Europe/Berlin'), '2026-03-29T01:00:00.000Z')
  })

  test('are quiet again when their last hour comes twice', () => {
    assert.equal(end('2026-10-25T00:10:00Z', '22:00', '02:30', 'Europe/Berlin'), '2026-10-25T00:30:00.000Z')
    assert.equal(end('2026-10-25T00:45:00Z', '22:00', '02:30', 'Europe/Berlin'), null)
    assert.equal(end('2026-10-25T01:10:00Z', '22:00', '02:30', 'Europe/Berlin'), '2026-10-25T01:30:00.000Z')
  })

  test('end at a pause that the skipped hour cuts short', () => {
    assert.equal(end('2026-03-29T00:59:00Z', '03:15', '02:45', 'Europe/Berlin'), '2026-03-29T01:00:00.000Z')
  })

  test('never begin when they begin as they end', () => {
    assert.equal(end('2026-06-10T12:00:00Z', '12:00', '12:00', 'UTC'), null)
  })

  test('always end at the first minute that is not quiet', () => {
    const times = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 15, 30, 45))
    const text = ([hour, minute]: [number, number]): string =>
      `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`
    // Around the four changes of the clock in both zones, a minute's grid.
    const around = ['2026-03-08T07:00Z', '2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-11-01T06:00Z']
    fc.assert(
      fc.property(
        fc.constantFrom(...around),
        fc.integer({ min: -1_440, max: 1_440 }),
        times,
        times,
        fc.constantFrom('Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'UTC'),
        (change, offset, from, to, timeZone) => {
          const hours = { from: text(from), to: text(to), timeZone }
          const now = Date.parse(change) + offset * 60_000
          const until = quietUntil(now, hours)
          if (until === null) return
          assert.ok(until > now)
          assert.equal(quietUntil(until, hours), null)
          for (let at = now; at < until; at += 15 * 60_000) assert.notEqual(quietUntil(at, hours), null)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('know which time zones there are', () => {
    assert.equal(isTimeZone('Europe/Berlin'), true)
    assert.equal(isTimeZone('Mars/Olympus'), false)
  })
})
