/**
 * `npm test`: the checks and every test, with real services. `npm test -- unit|integration|e2e|kube|check` or paths choose a
 * part, `--without kube` leaves a kind out. The last line is `N passed, N failed`; the exit code is 0 only when nothing failed and something ran.
 */
import { availableParallelism } from 'node:os'
import { startPostgres } from '../testkit/src/postgres.ts'
import { runChecks } from './check.ts'
import { ensureTools } from './ensure-tools.ts'
import type { ToolName } from './ensure-tools.ts'
import { ROOT as root } from './start/root.ts'
import { isPortalStale } from './start/portal.ts'
import { buildPortal } from './start/portal-build.ts'
import { discoverTests } from './test/discover.ts'
import type { TestFile } from './test/discover.ts'
import { prepareKube } from './test/prepare-kube.ts'
import { runFiles } from './test/run-files.ts'
import { parseSelection } from './test/selection.ts'

/** However busy the machine: a file that takes this long hangs. */
const FILE_TIMEOUT_MS = 15 * 60_000
/** A cluster's start, images and rollouts are in one file's time. */
const CLUSTER_TIMEOUT_MS = 15 * 60_000

function toolsFor(files: readonly TestFile[]): ToolName[] {
  const tools: ToolName[] = []
  if (files.some(({ kind }) => kind !== 'unit')) tools.push('redis')
  if (files.some(({ needsBrowser }) => needsBrowser)) tools.push('chromium')
  if (files.some(({ needsNginx }) => needsNginx)) tools.push('nginx')
  if (files.some(({ needsSystemPostgres }) => needsSystemPostgres)) tools.push('postgres')
  if (files.some(({ needsPrometheus }) => needsPrometheus)) tools.push('prometheus')
  return tools
}

async function main(
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ passed: number; failed: number }> {
  const total = { passed: 0, failed: 0 }
  const { paths, isWanted, left, hasChecks, hasTests } = parseSelection(args)
  for (const kind of left) console.log(`left out, as --without says: ${kind}`)
  if (hasChecks) {
    for (const { isGood } of await runChecks()) total[isGood ? 'passed' : 'failed'] += 1
  }
  if (!hasTests) return total

  const files = discoverTests(root, paths).filter(({ kind }) => isWanted(kind))
  if (files.length === 0) throw new Error(`no tests under ${paths.join(' ') || 'the root'}`)
  const run = async (group: readonly TestFile[], concurrency: number, timeoutMs = FILE_TIMEOUT_MS) => {
    const { passed, failed } = await runFiles({
      root,
      files: group.map(({ path }) => path),
      concurrency,
      timeoutMs,
      signal,
    })
    total.passed += passed
    total.failed += failed
  }
  const runKube = async (group: readonly TestFile[], problem: string | null) => {
    if (problem) {
      console.log(`✖ ${group.length} files of kind kube cannot run:\n${problem}`)
      total.failed += group.length
      return
    }
    const hasNodes = ({ needsNodes }: TestFile) => needsNodes
    await run(
      group.filter((file) => !hasNodes(file)),
      2,
    )
    await run(group.filter(hasNodes), 1, CLUSTER_TIMEOUT_MS)
  }
  const kube = files.filter(({ kind }) => kind === 'kube')
  const others = files.filter(({ kind }) => kind !== 'kube')
  ensureTools(toolsFor(files))
  const preparation = kube.length > 0 ? prepareKube(root, kube) : Promise.resolve(null)
  const needsPortal = files.some(({ needsBrowser }) => needsBrowser)
  if (needsPortal && isPortalStale(root)) await buildPortal(root, console.log)
  const postgres = files.some(({ kind }) => kind !== 'unit') ? await startPostgres() : null
  if (postgres) process.env['WMOC_TEST_POSTGRES_URL'] = postgres.url
  try {
    const isWhole = ({ kind }: TestFile) => kind === 'e2e'
    await run(
      others.filter((file) => !isWhole(file)),
      Math.max(2, availableParallelism()),
    )
    // A whole system mostly waits: two of them keep two cores busy.
    await run(others.filter(isWhole), 2)
    if (kube.length > 0 && !signal.aborted) await runKube(kube, await preparation)
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
