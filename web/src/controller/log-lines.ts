/** The lines of a live log: newest last, none twice, not more than a page can bear. Pure. */
import type { LogEntry } from '@wmoc/api/contracts/telemetry'

export const MAX_LINES = 5_000

const ORDER = { debug: 0, info: 1, warn: 2, error: 3 } as const
export type Level = keyof typeof ORDER

/** Whether a live line would have been in the answer to these filters. */
export function matches(entry: LogEntry, level: Level | null, text: string): boolean {
  if (level !== null && ORDER[entry.level] < ORDER[level]) return false
  return text === '' || entry.message.toLowerCase().includes(text.toLowerCase())
}

/** Joins what was read (newest first, as the API answers) with what came live; the oldest go first. */
export function joinLines(read: readonly LogEntry[], live: readonly LogEntry[]): LogEntry[] {
  const seen = new Set<string>()
  const lines = [...read.toReversed(), ...live].filter((entry) => {
    if (seen.has(entry.id)) return false
    seen.add(entry.id)
    return true
  })
  return lines.toSorted((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp)).slice(-MAX_LINES)
}

/** As a text file: one line an entry; line breaks of a message stay inside its line. */
export function asText(lines: readonly LogEntry[]): string {
  return lines
    .map(
      ({ timestamp, level, message }) =>
        `${timestamp} ${level.toUpperCase().padEnd(5)} ${message.replaceAll(/[\r\n]+/g, '⏎')}\n`,
    )
    .join('')
}
