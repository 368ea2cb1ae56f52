/** Runs a real process of ours as a test sees it from outside: its output, its readiness, its end. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { leashed } from '../../scripts/start/leash.ts'
import { onExit } from './exit.ts'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface TestProcess {
  readonly pid: number
  /** Both streams, line by line, from the start. */
  readonly lines: readonly string[]
  readonly ended: Promise<Ended>
  /** The first line that matches, past or to come; rejects when the process ends or `timeoutMs` (60 s) pass before. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<string>
  kill(signal: NodeJS.Signals): void
  /** Asks it to end (SIGTERM), kills it when `timeoutMs` (30 s) pass. */
  stop(timeoutMs?: number): Promise<Ended>
}

export interface RunOptions {
  readonly args?: readonly string[]
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** A path or program other than this Node. */
  readonly program?: string
}

/** Starts `script` with this Node (or `options.program`); it dies with the test, whatever happens to the test. */
export function run(script: string, options: RunOptions = {}): TestProcess {
  const [command, args] = leashed(options.program ?? process.execPath, [script, ...(options.args ?? [])], {
    signal: 'KILL',
  })
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...options.env },
    cwd: options.cwd,
  })
  const forget = onExit(() => child.kill('SIGKILL'))
  const lines: string[] = []
  const watchers = new Set<() => void>()
  readLines(child, (line) => {
    lines.push(line)
    for (const watcher of watchers) watcher()
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      forget()
      resolve({ code, signal })
    })
  })

  return {
    pid: child.pid!,
    lines,
    ended,
    kill: (signal) => void child.kill(signal),
    waitFor(pattern, timeoutMs = 60_000) {
      return new Promise<string>((resolve, reject) => {
        const finish = (settle: () => void) => {
          clearTimeout(timer)
          watchers.delete(look)
          settle()
        }
        const fail = (why: string) =>
          finish(() =>
            reject(new Error(`${why} before ${pattern}; its last lines:\n${lines.slice(-30).join('\n')}`)),
          )
        const look = () => {
          const found = lines.find((line) => pattern.test(line))
          if (found !== undefined) finish(() => resolve(found))
        }
        const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs)
        watchers.add(look)
        look()
        void ended.then(({ code, signal }) => fail(`the process ended (${signal ?? code})`))
      })
    },
    async stop(timeoutMs = 30_000) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
      try {
        return await ended
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8')
    stream?.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      parts.forEach(onLine)
    })
    stream?.on('end', () => {
      if (rest) onLine(rest)
    })
  }
}

/** Whether a process with this id is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
