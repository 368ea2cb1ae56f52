/** String literals, regular expressions and templates as Prometheus reads them, which is as Go does. Pure. */

const SIMPLE_ESCAPES = /^\\(?:[abfnrtv\\]|x[0-9A-Fa-f]{2}|[0-3][0-7]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/

/** What is wrong with a literal in its quotes, or null. */
export function stringProblem(literal: string): string | null {
  const quote = literal[0]
  if (quote === '`') return null
  for (let at = 1; at < literal.length - 1; at += 1) {
    if (literal[at] !== '\\') continue
    const escape = literal.slice(at, at + 10)
    const length = escape[1] === quote ? 2 : (SIMPLE_ESCAPES.exec(escape)?.[0].length ?? 0)
    if (length === 0)
      return `${escape.slice(0, 2)} is no escape in ${literal}: write \\\\ for a backslash, or quote with backticks`
    at += length - 1
  }
  return null
}

/** The text of a literal that has no problem. */
export function unquote(literal: string): string {
  const inner = literal.slice(1, -1)
  return literal[0] === '`' ? inner : inner.replaceAll(/\\(.)/g, '$1')
}

/**
 * What is wrong with a regular expression, or null. Prometheus uses RE2: this engine's own check, after what only one of
 * the two knows was taken out.
 */
export function regexProblem(pattern: string): string | null {
  const foreign = /\(\?(?:<?[=!])|\\[1-9]|\\k/.exec(pattern)
  if (foreign) return `${foreign[0]} is not known to RE2, in the regular expression ${pattern}`
  const plain = pattern
    .replaceAll(/\(\?[imsU-]+\)/g, '')
    .replaceAll(/\(\?[imsU-]+:/g, '(?:')
    .replaceAll('(?P<', '(?<')
  try {
    RegExp(plain)
    return null
  } catch (error) {
    return `the regular expression ${pattern} is wrong: ${(error as Error).message.replace(/^.*: /, '')}`
  }
}

const VALUE = String.raw`(?:\$value|\.Value|\$labels\.[A-Za-z_]\w*|\.Labels\.[A-Za-z_]\w*)`
const FORMAT = String.raw`printf "[^"\\{}]*"`
const FILTER = `(?:humanize|humanize1024|humanizeDuration|humanizePercentage|humanizeTimestamp|title|toUpper|toLower|${FORMAT})`
const ACTION = new RegExp(String.raw`^-?\s*(?:${FORMAT} )?${VALUE}(?:\s*\|\s*${FILTER})*\s*-?$`)

/** What is wrong with the template of a summary or description, or null: Prometheus refuses a file with a bad one. */
export function templateProblem(text: string): string | null {
  let start = text.indexOf('{{')
  while (start !== -1) {
    const end = text.indexOf('}}', start + 2)
    if (end === -1 || !ACTION.test(text.slice(start + 2, end).trim())) break
    start = text.indexOf('{{', end + 2)
  }
  if (start === -1) return null
  return `${text.slice(start, start + 60)} is not understood: write {{ $value }} or {{ $labels.name }}, with | humanize and the like`
}
