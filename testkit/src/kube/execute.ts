/** Runs a program to its end. */
import { spawn } from 'node:child_process'
import { leashed } from '../../../scripts/start/leash.ts'

export interface ExecuteOptions {
  /** Written to its standard input. */
  readonly input?: string
  readonly cwd?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Killed and rejected after this; 10 minutes by default. */
  readonly timeoutMs?: number
}

/** Answers what the program wrote to its standard output; rejects with its last lines when it fails. */
export function execute(
  program: string,
  args: readonly string[],
  options: ExecuteOptions = {},
): Promise<string> {
  const [command, all] = leashed(program, args, { signal: 'KILL' })
  const child = spawn(command, all, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(options.input)
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 600_000)
  let output = ''
  let complaint = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) return resolve(output)
      const lines = `${complaint.trim()}\n${output.trim()}`.trim().split('\n').slice(-40).join('\n')
      reject(new Error(`${program} ${args.join(' ')} failed (${signal ?? code}):\n${lines}`))
    })
  })
}

/** Asks `look` until it answers something other than null or false; rejects with the last error after `timeoutMs`. */
export async function waitUntil<T>(
  what: string,
  look: () => Promise<T | null | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let problem: unknown = 'not yet'
  while (Date.now() < deadline) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      const found = await look()
      if (found !== null && found !== false) return found
    } catch (error) {
      problem = error
    }
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${what}: ${timeoutMs} ms passed; ${String(problem)}`, { cause: problem })
}
