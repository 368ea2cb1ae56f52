/** `Cache-Control` (RFC 9111 section 5.2, RFC 5861, RFC 8246) and the flat header lists that it stands in. */

export interface Directives {
  has(name: string): boolean
  /** Seconds; null: not given, or no number. */
  seconds(name: string): number | null
}

const DIRECTIVE = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g
/** As RFC 9111 section 1.2.2 has it: what is larger than this is this. */
const MAX_SECONDS = 2 ** 31

/** Reads a field's value; of a directive that is given twice the first counts, and bad numbers are stale (section 4.2.1). */
export function parseDirectives(value: string): Directives {
  const found = new Map<string, string>()
  for (const [, name, quoted, plain] of value.matchAll(DIRECTIVE)) {
    const key = name!.toLowerCase()
    if (!found.has(key)) found.set(key, quoted ?? plain ?? '')
  }
  return {
    has: (name) => found.has(name),
    seconds(name) {
      const text = found.get(name)
      if (text === undefined) return null
      return /^\d+$/.test(text) ? Math.min(Number(text), MAX_SECONDS) : 0
    },
  }
}

/** The value of a header in a flat list (name after value), its repetitions joined; null: there is none. */
export function headerOf(headers: readonly string[], name: string): string | null {
  let found: string | null = null
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]!.toLowerCase() !== name) continue
    found = found === null ? headers[at + 1]! : `${found}, ${headers[at + 1]!}`
  }
  return found
}

/** The list without some headers. @param names Lower case. */
export function withoutHeaders(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2)
    if (!names.has(headers[at]!.toLowerCase())) kept.push(headers[at]!, headers[at + 1]!)
  return kept
}
