/** A server program of the cluster: its output goes to a file, and it dies with the process that started it. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { leashed } from '../../../scripts/start/leash.ts'
import { onExit } from '../exit.ts'

export interface Daemon {
  readonly pid: number
  /** What it ended with; null while it runs. */
  readonly exit: string | null
  readonly ended: Promise<void>
  /** The end of its log, for error messages. */
  tail(): string
  /** SIGTERM, and SIGKILL after `timeoutMs` (5 s). */
  stop(timeoutMs?: number): Promise<void>
  kill(signal: NodeJS.Signals): void
}

/** Starts `program`; its standard output and error are appended to `log`. */
export function startDaemon(program: string, args: readonly string[], log: string): Daemon {
  const output = openSync(log, 'a')
  const [command, all] = leashed(program, args, { signal: 'KILL' })
  const child = spawn(command, all, { stdio: ['ignore', output, output] })
  closeSync(output)
  const forget = onExit(() => child.kill('SIGKILL'))
  let exit: string | null = null
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      exit = error.message
      resolve()
    })
    child.once('exit', (code, signal) => {
      forget()
      exit = String(signal ?? code)
      resolve()
    })
  })
  // It must not keep a test file alive that is otherwise done.
  child.unref()
  return {
    pid: child.pid ?? 0,
    get exit() {
      return exit
    },
    ended,
    tail: () => `${basename(log)} ends with:\n${readFileSync(log, 'utf8').split('\n').slice(-20).join('\n')}`,
    kill: (signal) => void child.kill(signal),
    async stop(timeoutMs = 5_000) {
      if (exit !== null) return
      child.ref()
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
      await ended
      clearTimeout(timer)
    },
  }
}
