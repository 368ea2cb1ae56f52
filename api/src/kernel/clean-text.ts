/** Text and JSON from outside, made storable: Postgres holds U+0000 neither in text nor in jsonb. Pure. */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** U+0000 and surrogates without their half become U+FFFD; `max` UTF-16 units at most are kept. */
export function cleanText(text: string, max = Number.POSITIVE_INFINITY): string {
  const clean = text.toWellFormed().replaceAll('\0', '\uFFFD')
  return clean.length <= max ? clean : clean.slice(0, max).toWellFormed()
}

/** Strings and keys as in `cleanText`; numbers that JSON can't say become null. A key `__proto__` stays a key. */
export function cleanJson(value: Json): Json {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(cleanJson)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [cleanText(key), cleanJson(item)]))
}

/** Levels of nesting: 0 for a scalar, 1 for `{}`; counting stops one above `limit`. */
export function jsonDepth(value: Json, limit: number): number {
  if (value === null || typeof value !== 'object') return 0
  if (limit <= 0) return 1
  let deepest = 0
  for (const item of Object.values(value)) deepest = Math.max(deepest, jsonDepth(item, limit - 1))
  return deepest + 1
}
