/** `npm run check`: format, lint with types, arrows between parts, the portal's types, generated documents. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const bin = (name: string) => join(root, 'node_modules/.bin', name)

interface Check {
  readonly name: string
  readonly command: readonly string[]
  readonly cwd?: string
}

const CHECKS: readonly Check[] = [
  { name: 'format (oxfmt)', command: [bin('oxfmt'), '--check'] },
  { name: 'lint and types (oxlint)', command: [bin('oxlint'), '--type-aware', '--type-check'] },
  { name: 'arrows between parts', command: [process.execPath, join(root, 'scripts/check-arrows.ts')] },
  { name: 'generated documents', command: [process.execPath, join(root, 'scripts/gen.ts'), '--check'] },
  { name: 'types of the portal (vue-tsc)', command: [bin('vue-tsc'), '--noEmit'], cwd: join(root, 'web') },
]

export interface CheckResult {
  readonly name: string
  readonly isGood: boolean
}

/** Runs every check, prints what is wrong as it is found, answers each result. */
export async function runChecks(): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for (const check of CHECKS) {
    const startedAt = Date.now()
    const { code, output } = await runCommand(check)
    const isGood = code === 0
    console.log(`${isGood ? '✔' : '✖'} ${check.name}, ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
    if (!isGood) console.log(output)
    results.push({ name: check.name, isGood })
  }
  return results
}

function runCommand(check: Check): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const [command, ...args] = check.command as [string, ...string[]]
    if (!existsSync(command)) return resolve({ code: 1, output: `${command} is missing: run npm ci` })
    const child = spawn(command, args, { cwd: check.cwd ?? root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    child.once('close', (code) => resolve({ code, output }))
  })
}

if (import.meta.main) {
  const results = await runChecks()
  process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1
}
