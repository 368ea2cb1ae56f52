/** Runs test files, each in a process of its own that cannot outlive us, tells what fails, and counts. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { pathToFileURL } from 'node:url'
import { leashed } from '../start/leash.ts'
import type { Outcome } from './reporter.ts'

export interface Count {
  readonly passed: number
  readonly failed: number
}

export interface RunFilesOptions {
  readonly root: string
  readonly files: readonly string[]
  /** Files at a time. */
  readonly concurrency: number
  /** A file that takes longer is killed and counts as failed. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Runs all files, some at a time. A skipped test counts as failed: what cannot run must say so loudly. */
export async function runFiles(options: RunFilesOptions): Promise<Count> {
  const queue = [...options.files]
  const total = { passed: 0, failed: 0 }
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined && !options.signal.aborted; file = queue.shift()) {
      const { passed, failed } = await runFile(file, options)
      total.passed += passed
      total.failed += failed
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, worker))
  return total
}

async function runFile(file: string, options: RunFilesOptions): Promise<Count> {
  const startedAt = Date.now()
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-results-'))
  const results = join(folder, 'results.jsonl')
  const reporter = pathToFileURL(join(import.meta.dirname, 'reporter.ts')).href
  const flags = [`--test-reporter=${reporter}`, `--test-reporter-destination=${results}`]
  const [command, args] = leashed(process.execPath, [...flags, join(options.root, file)], { signal: 'KILL' })
  const child = spawn(command, args, { cwd: options.root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => (output = (output + String(chunk)).slice(-20_000)))
  }
  const stop = () => child.kill('SIGKILL')
  const timer = setTimeout(stop, options.timeoutMs)
  options.signal.addEventListener('abort', stop)
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('close', (...end) => resolve(end))
  })
  clearTimeout(timer)
  options.signal.removeEventListener('abort', stop)

  const outcomes = readOutcomes(results)
  rmSync(folder, { recursive: true })
  const bad = outcomes.filter(({ failure, isSkipped }) => failure !== null || isSkipped)
  for (const outcome of bad) {
    console.log(
      `✖ ${outcome.name} (${file}:${outcome.line})\n${indent(outcome.failure ?? 'skipped or left to do')}\n`,
    )
  }
  let failed = bad.length
  const problem = fileProblem(outcomes, code, signal, failed)
  if (problem) failed += 1
  if (problem || failed > 0) console.log(indent(`${problem ?? 'output of the file'}:\n${output.trim()}`))
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
  console.log(`${failed > 0 ? '✖' : '✔'} ${file}: ${outcomes.length} tests, ${seconds} s`)
  return { passed: outcomes.length - bad.length, failed }
}

/** What is wrong with a file beyond its tests. */
function fileProblem(
  outcomes: readonly Outcome[],
  code: number | null,
  signal: NodeJS.Signals | null,
  failed: number,
): string | null {
  if (signal) return `the file was ended by ${signal}: it took too long, or something killed it`
  if (outcomes.length === 0) return 'the file has no tests, or did not get to them'
  return code !== 0 && failed === 0 ? `the file ended with exit code ${code}` : null
}

function readOutcomes(file: string): Outcome[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  // A killed file leaves half a line at the end.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Outcome)
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
}
