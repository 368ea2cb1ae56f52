/** Processes of a benchmark: they end with it, however it ends. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { leashed } from '../scripts/start/leash.ts'

export interface BenchChild {
  readonly pid: number
  /** The first line that matches, past or to come; rejects when the process ends before or the time is over (20 s). */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<string>
  /** How many lines it has printed that match, of the last 200. */
  count(pattern: RegExp): number
  readonly ended: Promise<void>
  /** SIGTERM, after 10 s SIGKILL. */
  stop(): Promise<void>
  kill(): Promise<void>
  signal(name: NodeJS.Signals): void
}

const WAIT_MS = 20_000
const GRACE_MS = 10_000

/** Starts `command`; `.ts` files run by this Node. */
export function startChild(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): BenchChild {
  const isScript = command.endsWith('.ts')
  const [program, all] = leashed(
    isScript ? process.execPath : command,
    isScript ? [command, ...args] : args,
    {
      signal: 'KILL',
    },
  )
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const lines: string[] = []
  const watchers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (lines.length > 200) lines.shift()
      for (const watcher of watchers) watcher()
    })
  }
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error) => {
      lines.push(error.message)
      resolve()
    })
  })
  return {
    pid: child.pid ?? 0,
    ended,
    count: (pattern) => lines.filter((line) => pattern.test(line)).length,
    waitFor(pattern, timeoutMs = WAIT_MS) {
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      const look = () => {
        const found = lines.find((line) => pattern.test(line))
        if (found !== undefined) resolve(found)
      }
      const fail = (why: string) =>
        reject(new Error(`${command}: ${why} before ${pattern}:\n${lines.slice(-15).join('\n')}`))
      const timer = setTimeout(() => fail('too long'), timeoutMs)
      void ended.then(() => fail('ended'))
      watchers.add(look)
      look()
      return promise.finally(() => {
        clearTimeout(timer)
        watchers.delete(look)
      })
    },
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
      await ended
      clearTimeout(timer)
    },
    signal: (name) => void child.kill(name),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Repeats until it neither fails nor answers false; rejects when the time is over (20 s). */
export async function eventually(
  what: string,
  check: () => Promise<boolean>,
  timeoutMs: number = WAIT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    if (await check().catch(() => false)) return
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await sleep(50)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
