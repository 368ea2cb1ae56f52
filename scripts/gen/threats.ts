/** The last column of `docs/security.md`: which tests hold each threat, read from the titles of the tests. */

export interface TestFile {
  /** From the project's root. */
  readonly path: string
  readonly text: string
}

/** A case's number at the head of a title: `P1: …`, `T6, T7: …`. */
const TITLE = /\b(?:test|suite|it)\(\s*(['"`])((?:[A-Z]\d{1,2})(?:, [A-Z]\d{1,2})*): /g
const ROW = /^\| ([A-Z]\d{1,2}) \|(.*)\| ([^|]*) \|$/

/** The files whose test titles begin with each case's number. */
export function testsByThreat(files: readonly TestFile[]): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const { path, text } of files) {
    for (const [, , numbers] of text.matchAll(TITLE)) {
      for (const number of numbers!.split(', ')) {
        const paths = found.get(number) ?? []
        if (!paths.includes(path)) paths.push(path)
        found.set(number, paths)
      }
    }
  }
  return found
}

/**
 * The document with its last column written anew. A row without a test keeps what stands there by hand.
 * @throws Error that names rows with neither a test nor a text that begins with "later", and titles that name no row.
 */
export function fillThreats(document: string, files: readonly TestFile[]): string {
  const tests = testsByThreat(files)
  const seen = new Set<string>()
  const problems: string[] = []
  const lines = document.split('\n').map((line) => {
    const row = ROW.exec(line)
    if (row === null) return line
    const [, number, middle, last] = row as unknown as [string, string, string, string]
    seen.add(number)
    const paths = tests.get(number)
    if (paths !== undefined)
      return `| ${number} |${middle}| ${paths
        .toSorted()
        .map((path) => `\`${path}\``)
        .join(', ')} |`
    if (!last.startsWith('later')) problems.push(`${number} has no test and does not say when it will`)
    return line
  })
  for (const number of tests.keys())
    if (!seen.has(number)) problems.push(`a test names ${number}, which is no threat`)
  if (problems.length > 0) throw new Error(`docs/security.md:\n  ${problems.join('\n  ')}`)
  return lines.join('\n')
}
