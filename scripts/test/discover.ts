/** Which test files there are, and of what kind. */
import { globSync, readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'

export const KINDS = ['unit', 'integration', 'e2e', 'kube'] as const
export type Kind = (typeof KINDS)[number]

export interface TestFile {
  /** Relative to the root. */
  readonly path: string
  readonly kind: Kind
  readonly needsNginx: boolean
  readonly needsBrowser: boolean
  readonly needsPrometheus: boolean
  /** PostgreSQL with its own `pg_dump`. */
  readonly needsSystemPostgres: boolean
  /** A cluster whose nodes run containers: it has the machine for itself. */
  readonly needsNodes: boolean
}

/** Every `*.test.ts` under the paths (files, folders; the root when none is given), sorted. */
export function discoverTests(root: string, paths: readonly string[]): TestFile[] {
  const places = (paths.length > 0 ? paths : ['.']).map((path) =>
    isAbsolute(path) ? relative(root, path) : path.replace(/^\.\//, ''),
  )
  const found = new Set<string>()
  for (const place of places) {
    const isFile = statSync(join(root, place)).isFile()
    const pattern = isFile ? place : join(place, '**/*.test.ts')
    for (const file of globSync(pattern, {
      cwd: root,
      exclude: (name) => /(^|\/)(node_modules|dist|\.wmoc)$/.test(name),
    })) {
      found.add(file)
    }
  }
  return [...found].toSorted().map((path) => classify(path, readFileSync(join(root, path), 'utf8')))
}

/** Kube: Kubernetes; end-to-end: the whole system or a browser; integration: real services; unit: the rest. */
function classify(path: string, source: string): TestFile {
  const needsNodes = path.startsWith('e2e/kube/')
  const isKube = needsNodes || path.endsWith('.kube.test.ts')
  const isWhole = path.startsWith('e2e/') || path.startsWith('web/test/') || /support\/stack/.test(source)
  const isIntegration =
    path.startsWith('testkit/') || /@wmoc\/testkit\/|\/testing\/|testkit\/src/.test(source)
  return {
    path,
    kind: isKube ? 'kube' : isWhole ? 'e2e' : isIntegration ? 'integration' : 'unit',
    needsBrowser: path.startsWith('web/test/') || /['"/]chromium(\.ts)?['"]/.test(source),
    needsNginx: /['"/]nginx(\.ts)?['"]/.test(source),
    needsSystemPostgres: /testkit\/system-postgres/.test(source),
    needsPrometheus:
      /promtool|prometheus-alertmanager|\/prometheus(\.ts)?'/.test(source) ||
      path.startsWith('observability/'),
    needsNodes,
  }
}
