/**
 * Which part may import which, read from the import statements, and a few rules that oxlint has no words for.
 * `node scripts/check-arrows.ts [root]` prints each violation with its place and exits 1 when there is one.
 */
import { globSync, readFileSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'

const PARTS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  platform: [],
  api: ['protocol', 'platform'],
  'tunnel-gateway': ['protocol', 'platform'],
  'device-sim': ['protocol', 'platform'],
  operator: ['platform', 'observability'],
  observability: [],
  web: [],
  // Its headers are those of Vite's preview too.
  'web/server': ['platform', 'web'],
}
const PURE_PACKAGES = new Set(['zod', 'htmlparser2'])
/** What other modules may see of an API module: its contract, and the types of its service and of itself. */
const OPEN_FILES = /^(contract|service|module)\.ts$/

/** One line for each rule that the file breaks. `path` is relative to the root, with `/`. */
export function violations(path: string, source: string): string[] {
  const found: string[] = []
  const isTest = /\.test\.ts$|(^|\/)(test|testing)\//.test(path)
  const tell = (line: number, text: string) => found.push(`${path}:${line} ${text}`)
  for (const { specifier, line, isTypeOnly } of imports(source)) {
    const problem = isTest ? null : importProblem(path, specifier, isTypeOnly)
    if (problem) tell(line, `imports ${specifier}: ${problem}`)
  }
  for (const [pattern, text, applies] of TEXT_RULES) {
    if (isTest || !applies(path)) continue
    for (const match of source.matchAll(pattern)) tell(lineAt(source, match.index), text)
  }
  return found
}

const TEXT_RULES: readonly [RegExp, string, (path: string) => boolean][] = [
  [/\bnew Date\(\s*\)/g, 'pure code: time comes in as an argument', isPure],
  [/\bv-html\b/g, 'v-html is not used: text from devices reaches the page', (path) => path.endsWith('.vue')],
]

function isPure(path: string): boolean {
  return path.startsWith('protocol/src/') || /^[^/]+\/src\/(.*\/)?core\//.test(path)
}

function importProblem(path: string, specifier: string, isTypeOnly: boolean): string | null {
  const part = partOf(path)
  const target = targetOf(path, specifier)
  if (target.part === 'testkit' && part !== 'testkit') return 'testkit is for tests only'
  if (isPure(path) && !isTypeOnly && !target.part && !PURE_PACKAGES.has(specifier))
    return 'pure code has no I/O'
  const allowed = PARTS[part]
  if (allowed && target.part && target.part !== part && !allowed.includes(target.part)) {
    const isContract =
      part === 'web' &&
      target.part === 'api' &&
      /^@wmoc\/api\/(contracts\/|contract-kit$|schemas$|client$)/.test(specifier)
    if (!isContract) return `${part} may not import ${target.part}`
  }
  if (target.part === 'api' && part === 'api') return moduleProblem(path, target.path, isTypeOnly)
  return null
}

/** The portal's own server is no part of what browsers load. */
const partOf = (path: string) => (path.startsWith('web/server/') ? 'web/server' : path.split('/')[0]!)

/** API modules never import each other's insides. */
function moduleProblem(path: string, target: string, isTypeOnly: boolean): string | null {
  const from = moduleOf(path)
  const to = moduleOf(target)
  if (!from || !to || from.name === to.name) return null
  if (to.file === 'contract.ts') return null
  if (OPEN_FILES.test(to.file) && isTypeOnly) return null
  return `modules see of each other only contract.ts, and types of service.ts and module.ts`
}

function moduleOf(path: string): { name: string; file: string } | null {
  const match = /^api\/src\/modules\/([^/]+)\/(.+)$/.exec(path)
  return match ? { name: match[1]!, file: match[2]! } : null
}

/** The part a specifier leads to, and the path where it can be told; an npm package or `node:` has no part. */
function targetOf(path: string, specifier: string): { part: string | null; path: string } {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(path), specifier)
    return { part: partOf(target), path: target }
  }
  if (specifier.startsWith('#src/')) {
    const part = path.split('/')[0]!
    return { part, path: `${part}/src/${specifier.slice('#src/'.length)}` }
  }
  const own = /^@wmoc\/([^/]+)\/?(.*)$/.exec(specifier)
  return own ? { part: own[1]!, path: `${own[1]}/src/${own[2]}.ts` } : { part: null, path: specifier }
}

/** Static imports and re-exports, dynamic imports and `import('…')` types. */
function imports(source: string): { specifier: string; line: number; isTypeOnly: boolean }[] {
  const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  const found = [...source.matchAll(statement)].map((match) => ({
    specifier: match[2]!,
    line: lineAt(source, match.index + match[0].length),
    isTypeOnly: match[1] !== undefined,
  }))
  for (const match of source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)(\.\w)?/g)) {
    found.push({
      specifier: match[1]!,
      line: lineAt(source, match.index),
      isTypeOnly: match[2] !== undefined,
    })
  }
  return found
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split('\n').length
}

/** Every violation in the tree under `root`. */
export function checkTree(root: string): string[] {
  const files = globSync(['*/{src,test,dev,server}/**/*.{ts,vue}', 'observability/**/*.ts'], {
    cwd: root,
    exclude: (name) => /node_modules|dist/.test(name),
  })
  return files.toSorted().flatMap((file) => {
    const path = file.split('\\').join('/')
    return violations(path, readFileSync(join(root, file), 'utf8'))
  })
}

if (import.meta.main) {
  const found = checkTree(resolve(process.argv[2] ?? join(import.meta.dirname, '..')))
  for (const line of found) console.error(line)
  process.exitCode = found.length ? 1 : 0
}
