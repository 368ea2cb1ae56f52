/** No pattern of ours can be made to run for ever by what it is matched against. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkSync } from 'recheck'
import ts from 'typescript'

const root = join(import.meta.dirname, '..')
/** Reads nothing but our own source text, when documents are generated. */
const GENERATOR = 'protocol/src/reference.ts'
const PRODUCT = ['api', 'device-sim', 'operator', 'platform', 'protocol', 'tunnel-gateway', 'web']

/** The patterns that a source file writes down, with their flags. */
function patternsOf(path: string): { source: string; flags: string }[] {
  const text = readFileSync(join(root, path), 'utf8')
  const script = path.endsWith('.vue') ? (/<script[^>]*>([\s\S]*?)<\/script>/.exec(text)?.[1] ?? '') : text
  const found: { source: string; flags: string }[] = []
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.RegularExpressionLiteral) {
      const literal = node.getText()
      const end = literal.lastIndexOf('/')
      found.push({ source: literal.slice(1, end), flags: literal.slice(end + 1) })
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, script, ts.ScriptTarget.Latest, true))
  return found
}

/** Large Unicode classes by a part of them: which alternatives overlap stays the same, and the analysis ends. */
function simplify(source: string): string {
  return source.replaceAll(/\\p\{[^}]+\}/g, 'a-z').replaceAll(/\\u\{[0-9A-F]+\}/gi, 'a')
}

test('U14: every pattern in the product is safe from catastrophic backtracking', { timeout: 240_000 }, () => {
  process.env['RECHECK_BACKEND'] = 'pure'
  const files = execFileSync('git', ['ls-files', '--', ...PRODUCT], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter(
      (path) =>
        /\.(ts|vue)$/.test(path) &&
        path !== GENERATOR &&
        !path.endsWith('.test.ts') &&
        existsSync(join(root, path)),
    )
  const seen = new Map<string, string>()
  for (const path of files) {
    for (const { source, flags } of patternsOf(path)) {
      seen.set(`/${simplify(source)}/${flags.replaceAll(/[vd]/g, '')}`, path)
    }
  }
  assert.ok(seen.size > 30, `${seen.size} patterns`)
  assert.equal(checkSync('^(a+)+$', '').status, 'vulnerable', 'the analysis sees a bad one')
  const vulnerable: string[] = []
  for (const [pattern, path] of seen) {
    const end = pattern.lastIndexOf('/')
    const result = checkSync(pattern.slice(1, end), pattern.slice(end + 1), { timeout: 20_000 })
    if (result.status === 'vulnerable') vulnerable.push(`${path}: ${pattern} ${result.complexity.summary}`)
  }
  assert.deepEqual(vulnerable, [])
})
