/**
 * `npm test`: the checks and every test, with real services. `npm test -- unit|integration|e2e|check` or paths choose a
 * part. The last line is `N passed, N failed`; the exit code is 0 only when nothing failed and something ran.
 */
import { availableParallelism } from 'node:os'
import { startPostgres } from '../testkit/src/postgres.ts'
import { runChecks } from './check.ts'
import { ensureTools } from './ensure-tools.ts'
import type { ToolName } from './ensure-tools.ts'
import { ROOT as root } from './start/root.ts'
import { isPortalStale } from './start/portal.ts'
import { buildPortal } from './start/portal-build.ts'
import { discoverTests, KINDS } from './test/discover.ts'
import type { Kind, TestFile } from './test/discover.ts'
import { runFiles } from './test/run-files.ts'

const FILE_TIMEOUT_MS = 5 * 60_000

function toolsFor(files: readonly TestFile[]): ToolName[] {
  const tools: ToolName[] = []
  if (files.some(({ kind }) => kind !== 'unit')) tools.push('redis')
  if (files.some(({ needsBrowser }) => needsBrowser)) tools.push('chromium')
  if (files.some(({ needsNginx }) => needsNginx)) tools.push('nginx')
  return tools
}

async function main(
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ passed: number; failed: number }> {
  const total = { passed: 0, failed: 0 }
  const kinds = args.filter((arg): arg is Kind => (KINDS as readonly string[]).includes(arg))
  const paths = args.filter((arg) => arg !== 'check' && !kinds.includes(arg as Kind))
  const hasChecks = args.length === 0 || args.includes('check')
  const onlyChecks = hasChecks && kinds.length === 0 && paths.length === 0 && args.length > 0

  if (hasChecks) {
    for (const { isGood } of await runChecks()) total[isGood ? 'passed' : 'failed'] += 1
  }
  if (onlyChecks) return total

  const files = discoverTests(root, paths).filter(({ kind }) => kinds.length === 0 || kinds.includes(kind))
  if (files.length === 0) throw new Error(`no tests under ${paths.join(' ') || 'the root'}`)
  ensureTools(toolsFor(files))
  const whole = files.filter(({ kind }) => kind === 'e2e')
  if (files.some(({ needsBrowser }) => needsBrowser) && isPortalStale(root))
    await buildPortal(root, console.log)
  const postgres = files.some(({ kind }) => kind !== 'unit') ? await startPostgres() : null
  if (postgres) process.env['WMOC_TEST_POSTGRES_URL'] = postgres.url
  try {
    const groups = [
      { files: files.filter(({ kind }) => kind !== 'e2e'), concurrency: Math.max(2, availableParallelism()) },
      { files: whole, concurrency: 1 },
    ]
    for (const group of groups) {
      if (group.files.length === 0) continue
      const { passed, failed } = await runFiles({
        root,
        files: group.files.map(({ path }) => path),
        concurrency: group.concurrency,
        timeoutMs: FILE_TIMEOUT_MS,
        signal,
      })
      total.passed += passed
      total.failed += failed
    }
  } finally {
    await postgres?.stop()
  }
  return total
}

const abort = new AbortController()
process.once('SIGINT', () => abort.abort())
process.once('SIGTERM', () => abort.abort())
let total = { passed: 0, failed: 1 }
try {
  total = await main(process.argv.slice(2), abort.signal)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
}
const isGood = total.failed === 0 && total.passed > 0 && !abort.signal.aborted
console.log(`${total.passed} passed, ${isGood ? 0 : Math.max(1, total.failed)} failed`)
process.exit(isGood ? 0 : 1)
