/** One of our processes under a start: its log in a file, its last lines at hand, its readiness asked for. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { leashed } from './leash.ts'
import { COMPILE_CACHE } from './root.ts'

export interface ChildOptions {
  readonly name: string
  /** A `.ts` file, run by this Node. */
  readonly script: string
  readonly args?: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** Flags of Node itself. */
  readonly nodeFlags?: readonly string[]
  readonly onLine?: (line: string) => void
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly lastLines: readonly string[]
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly isRunning: boolean
  kill(signal: NodeJS.Signals): void
  /** Asks it to end and kills it when `graceMs` are over. */
  stop(graceMs?: number): Promise<void>
}

const running = new Set<ChildProcess>()

/** kill -9 for all of them: the person is in a hurry. */
export function killChildren(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** Starts a process in a group of its own (the terminal's Ctrl-C reaches only us), tied to our life. */
export function startChild(options: ChildOptions): Child {
  const [command, args] = leashed(
    process.execPath,
    [...(options.nodeFlags ?? []), options.script, ...(options.args ?? [])],
    { signal: 'TERM' },
  )
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...inherited(), NODE_COMPILE_CACHE: COMPILE_CACHE, ...options.env },
  })
  const log = createWriteStream(options.logFile, { flags: 'a', mode: 0o600 })
  const lastLines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`)
      lastLines.push(line)
      if (lastLines.length > 30) lastLines.shift()
      options.onLine?.(line)
    })
  }
  let isRunning = true
  running.add(child)
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      isRunning = false
      running.delete(child)
      log.end()
      resolve({ code, signal })
    })
  })
  return {
    name: options.name,
    pid: child.pid!,
    lastLines,
    exited,
    get isRunning() {
      return isRunning
    },
    kill: (signal) => void child.kill(signal),
    async stop(graceMs = 10_000) {
      if (!isRunning) return
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await exited
      clearTimeout(timer)
    },
  }
}

/** Ends when `/readyz` of the child's admin port says yes; rejects when the child ends or `timeoutMs` pass. */
export async function waitUntilReady(child: Child, adminPort: number, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (child.isRunning) {
    try {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`)
      await answer.body?.cancel()
      if (answer.ok) return
    } catch {
      // not listening yet
    }
    if (Date.now() > deadline) throw new ChildError(child, `is not ready after ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new ChildError(child, 'ended at its start')
}

/** A process of ours failed; the message carries its last lines. */
export class ChildError extends Error {
  override readonly name = 'ChildError'

  constructor(child: Child, what: string) {
    super(`${child.name} ${what}; its last lines:\n${child.lastLines.map((line) => `  ${line}`).join('\n')}`)
  }
}

/** What a process needs from the surroundings; our own variables are given one by one. */
function inherited(): Record<string, string> {
  const kept = [
    'PATH',
    'HOME',
    'TZ',
    'LANG',
    'LC_ALL',
    'TMPDIR',
    'NODE_COMPILE_CACHE',
    'NODE_EXTRA_CA_CERTS',
    'TERM',
  ]
  return Object.fromEntries(kept.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}
