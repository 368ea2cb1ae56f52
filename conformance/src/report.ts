/** What came of the cases, for people and for machines. */
import type { Result } from './runner.ts'

const MARKS = { passed: '✓', failed: '✗', skipped: '–' } as const

/** One line for a case, more when it failed. */
export function resultLines({ id, title, spec, outcome, reason, expected, came }: Result): string {
  const line = `${MARKS[outcome]} ${id}: ${title}`
  if (outcome === 'passed') return line
  if (outcome === 'skipped') return `${line}\n    ${reason}`
  const details =
    expected === null
      ? [`    ${reason}`]
      : [`    ${reason}`, `    expected  ${expected}`, `    came      ${came}`]
  return [line, ...details, `    see       ${spec}`].join('\n')
}

/** The last lines of a run. */
export function summary(results: readonly Result[]): string {
  const count = (outcome: Result['outcome']) => results.filter((result) => result.outcome === outcome).length
  const failed = results.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
  const lines = [`${count('passed')} passed, ${failed.length} failed, ${count('skipped')} skipped`]
  if (failed.length > 0) lines.push(`failed: ${failed.join(' ')}`)
  return lines.join('\n')
}

/** For `--json`. */
export function reportJson(results: readonly Result[]): string {
  return `${JSON.stringify({ kit: 'wmoc conformance 1', results }, null, 2)}\n`
}
