/** A script of ours that a start runs and that ends by itself. */
import { join } from 'node:path'
import { ChildError, startChild } from './child.ts'
import { ROOT } from './root.ts'

export interface Tool {
  /** Rejects when it ends without having printed anything. */
  readonly firstLine: Promise<string>
  /** All it printed, at its end; rejects with the last lines when it fails. */
  readonly output: Promise<string[]>
  stop(): Promise<void>
}

/** Runs `script`, a path below the root. */
export function runTool(options: {
  script: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
  logFile: string
}): Tool {
  const lines: string[] = []
  const first = Promise.withResolvers<string>()
  const child = startChild({
    ...options,
    name: options.script,
    script: join(ROOT, options.script),
    env: { ...options.env, LOG_LEVEL: 'warn' },
    onLine: (line) => {
      lines.push(line)
      first.resolve(line)
    },
  })
  const output = child.exited.then(({ code }) => {
    if (code !== 0) throw new ChildError(child, 'failed')
    return lines
  })
  // Told to who waits for it, whichever it is.
  output.catch(first.reject)
  first.promise.catch(() => {})
  return { firstLine: first.promise, output, stop: () => child.stop(1_000) }
}
