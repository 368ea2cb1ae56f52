/**
 * JSON from a peer that is not trusted, read in bounded time and without surprises. Pure.
 *
 * `JSON.parse` is safe against `__proto__` and deep nesting by itself, but what walks its result (a schema, a
 * presenter, JSON.stringify) is not, and it lets through what two readers may understand differently. So the text is
 * scanned once, without recursion, before anything is built from it (RFC 8259 sections 4, 6, 8.2, 9).
 */

export type GuardFault =
  | 'too_deep'
  | 'too_many_values'
  | 'duplicate_key'
  | 'number_out_of_range'
  | 'lone_surrogate'
  | 'not_json'

export type GuardLimits = {
  /** Containers inside containers; a bare number has depth 0, `{}` has 1. */
  maxDepth: number
  /** Members of objects and items of arrays, all levels together. */
  maxValues: number
}

export type GuardResult = { ok: true; value: unknown } | { ok: false; fault: GuardFault }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const MINUS = 0x2d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/
/** Longest run of digits that surely fits a double. */
const SAFE_NUMBER_CHARS = 300

/**
 * Parses a JSON text. Refuses nesting beyond `maxDepth`, more than `maxValues` values, a key twice in one object,
 * numbers beyond a double (1e400) and escapes that make half a character. Keys such as `__proto__` stay plain data.
 */
export function parseGuarded(text: string, limits: GuardLimits): GuardResult {
  const fault = scan(text, limits)
  if (fault) return { ok: false, fault }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, fault: 'not_json' }
  }
  if (SURROGATE_ESCAPE.test(text) && !isWellFormed(value)) return { ok: false, fault: 'lone_surrogate' }
  return { ok: true, value }
}

/** The first fault that shows without building anything; syntax is left to `JSON.parse`. */
function scan(text: string, limits: GuardLimits): GuardFault | null {
  /** One entry per open container: the keys seen in an object, null for an array. */
  const open: (Set<string> | null)[] = []
  let values = 0
  let expectsKey = false
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      const end = stringEnd(text, at)
      if (end < 0) return 'not_json'
      const keys = open.at(-1)
      if (expectsKey && keys) {
        const key = keyOf(text, at, end)
        if (key === null) return 'not_json'
        if (keys.has(key)) return 'duplicate_key'
        keys.add(key)
        expectsKey = false
      }
      at = end
    } else if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      if (open.length >= limits.maxDepth) return 'too_deep'
      if ((values += 1) > limits.maxValues) return 'too_many_values'
      expectsKey = char === OPEN_OBJECT
      open.push(expectsKey ? new Set() : null)
    } else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) {
      open.pop()
      expectsKey = false
    } else if (char === COMMA) {
      if ((values += 1) > limits.maxValues) return 'too_many_values'
      expectsKey = open.at(-1) instanceof Set
    } else if (char === MINUS || isDigit(char)) {
      const end = numberEnd(text, at)
      if (!isFiniteNumber(text, at, end)) return 'number_out_of_range'
      at = end - 1
    }
  }
  return null
}

/** Index of the quote that closes the string opened at `start`, or -1. */
function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end >= 0) {
    let before = end - 1
    while (text.charCodeAt(before) === BACKSLASH) before -= 1
    if ((end - before) % 2 === 1) return end
    end = text.indexOf('"', end + 1)
  }
  return -1
}

/** The key as the parser will see it, so that `"a"` and `"\\u0061"` count as the same; null when it is no JSON. */
function keyOf(text: string, start: number, end: number): string | null {
  const raw = text.slice(start + 1, end)
  if (!raw.includes('\\')) return raw
  try {
    const key: unknown = JSON.parse(`"${raw}"`)
    return typeof key === 'string' ? key : null
  } catch {
    return null
  }
}

function numberEnd(text: string, start: number): number {
  let end = start + 1
  for (; end < text.length; end += 1) {
    const char = text.charCodeAt(end)
    // Digits, '.', '+', '-', 'e', 'E'.
    if (!isDigit(char) && char !== 0x2e && char !== 0x2b && char !== MINUS && (char | 0x20) !== 0x65) break
  }
  return end
}

function isFiniteNumber(text: string, start: number, end: number): boolean {
  const token = text.slice(start, end)
  if (token.length < SAFE_NUMBER_CHARS && !/e/i.test(token)) return true
  // NaN is bad syntax, which the parser reports better.
  return Math.abs(Number(token)) !== Infinity
}

function isDigit(char: number): boolean {
  return char >= 0x30 && char <= 0x39
}

/** Depth is bounded by the scan before, so the recursion is too. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (Array.isArray(value)) return value.every(isWellFormed)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormed(item))
}
