/** Numbers, times and durations as people read them. Pure: the moment and the language come in. */

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000_000],
  ['month', 2_592_000_000],
  ['week', 604_800_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

/** "5 minutes ago", "in 2 hours"; under 45 s it is "now". */
export function relativeTime(atMs: number, nowMs: number, locale: string): string {
  const formatter = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const differenceMs = atMs - nowMs
  if (Math.abs(differenceMs) < 45_000) return formatter.format(0, 'second')
  for (const [unit, sizeMs] of STEPS) {
    if (Math.abs(differenceMs) >= sizeMs) return formatter.format(Math.trunc(differenceMs / sizeMs), unit)
  }
  return formatter.format(Math.trunc(differenceMs / 60_000) || Math.sign(differenceMs), 'minute')
}

/** Date and time with seconds, in the person's own time zone. */
export function absoluteTime(atMs: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(atMs)
}

/** "3 d 4 h", "12 min", "8 s": the two largest units that say something. */
export function duration(ms: number, locale: string): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const parts: [number, 'day' | 'hour' | 'minute' | 'second'][] = [
    [Math.floor(seconds / 86_400), 'day'],
    [Math.floor(seconds / 3_600) % 24, 'hour'],
    [Math.floor(seconds / 60) % 60, 'minute'],
    [seconds % 60, 'second'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first === -1 ? 3 : first)
    .slice(0, 2)
    .filter(([count], index) => index === 0 || count > 0)
    .map(([count, unit]) =>
      new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'short' }).format(count),
    )
    .join(' ')
}

/** A number short enough for a tile: at most 4 significant digits, thousands grouped. */
export function shortNumber(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { maximumSignificantDigits: Math.abs(value) >= 1_000 ? 6 : 4 }).format(
    value,
  )
}

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

/** An amount of data in thousands of the unit before: "12.3 kB". */
export function bytes(count: number, locale: string): string {
  const step = Math.min(BYTE_UNITS.length - 1, count < 1 ? 0 : Math.floor(Math.log10(count) / 3))
  return new Intl.NumberFormat(locale, {
    style: 'unit',
    unit: BYTE_UNITS[step],
    unitDisplay: step === 0 ? 'long' : 'short',
    maximumSignificantDigits: 3,
  }).format(count / 1_000 ** step)
}

/** 0 … 1 as a percentage; 99.96 % is never shown as 100 %. */
export function percent(share: number, locale: string): string {
  const rounded = share < 1 ? Math.min(share, 0.999) : 1
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 }).format(rounded)
}

/** Any JSON on one line, cut at `max`. */
export function jsonLine(value: unknown, max = 120): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > max ? `${text.slice(0, max - 1)}…` : text
}
