/** Tables and JSON, as kubectl prints them. */
import type { Session } from './session.ts'

/** Rows in columns; a cell that is null is a dash. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => oneLine(cell === null ? '-' : String(cell))))
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('   ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** What came from the cluster may hold anything; a terminal must not obey it. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F]+/g, ' ')
}

/** The one or the other, as `-o` says. */
export function print(session: Session, json: unknown, text: () => string): void {
  session.write(session.options.isJson ? `${JSON.stringify(json, null, 2)}\n` : text())
}
