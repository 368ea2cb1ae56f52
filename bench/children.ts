/** Processes of a benchmark: they end with it, however it ends. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { leashed } from '../scripts/start/leash.ts'

export interface BenchChild {
  readonly pid: number
  /** The first line that matches, past or to come; rejects when the process ends before or 20 s pass. */
  waitFor(pattern: RegExp): Promise<string>
  readonly ended: Promise<void>
  stop(): Promise<void>
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
    waitFor(pattern) {
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      const look = () => {
        const found = lines.find((line) => pattern.test(line))
        if (found !== undefined) resolve(found)
      }
      const fail = (why: string) =>
        reject(new Error(`${command}: ${why} before ${pattern}:\n${lines.slice(-15).join('\n')}`))
      const timer = setTimeout(() => fail('too long'), WAIT_MS)
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
  }
}

/** Repeats until it neither fails nor answers false; rejects after 20 s. */
export async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    if (await check().catch(() => false)) return
    if (performance.now() > deadline) throw new Error(`${what}: not within ${WAIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
