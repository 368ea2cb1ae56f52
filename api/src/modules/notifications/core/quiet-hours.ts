/** Hours of the wall clock in a time zone, `HH:MM`; `from` later than `to` runs over midnight, equal means never. */
export interface QuietHours {
  readonly from: string
  readonly to: string
  readonly timeZone: string
}

const MINUTE_MS = 60_000
/** Hours last less than a day, and no zone has ever shifted its clock by more than a day. */
const MAX_SEARCH_MINUTES = 2 * 1_440

/**
 * When the quiet hours around `now` end, ms since 1970; null when `now` is not quiet. Follows the wall clock through
 * daylight saving: an end that the clock skips is the first minute after the gap, and an hour that comes twice is
 * quiet both times.
 */
export function quietUntil(now: number, hours: QuietHours): number | null {
  const minuteOfDay = wallClock(hours.timeZone)
  const isQuiet = (at: number): boolean => contains(minuteOfDay(at), minutes(hours.from), minutes(hours.to))
  if (!isQuiet(now)) return null
  // Minute by minute: a clock that is put forward or back can cut a short pause out of the hours, or into them.
  let end = Math.floor(now / MINUTE_MS) * MINUTE_MS
  const last = end + MAX_SEARCH_MINUTES * MINUTE_MS
  while (end < last && isQuiet(end)) end += MINUTE_MS
  return end
}

/** Whether the runtime knows this time zone (IANA name). */
export function isTimeZone(name: string): boolean {
  try {
    wallClock(name)
    return true
  } catch {
    return false
  }
}

function wallClock(timeZone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  return (at) => minutes(format.format(at))
}

function minutes(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
}

function contains(minute: number, from: number, to: number): boolean {
  if (from === to) return false
  return from < to ? minute >= from && minute < to : minute >= from || minute < to
}
