/** A process of ours that prints the port it listens on and nothing else that is only a number. */
import { join } from 'node:path'
import { startChild } from '../start/child.ts'
import { ROOT } from '../start/root.ts'
import type { State } from '../start/state.ts'

export interface PortProcess {
  readonly port: number
  stop(): Promise<void>
}

/** @param script relative to the root. Rejects with its last lines when it ends before it has told its port. */
export async function startPortProcess(
  state: State,
  name: string,
  script: string,
  args: readonly string[],
): Promise<PortProcess> {
  const told = Promise.withResolvers<number>()
  const child = startChild({
    name,
    script: join(ROOT, script),
    args,
    env: {},
    logFile: state.path('logs', `${name}.log`),
    onLine: (line) => /^\d+$/.test(line) && told.resolve(Number(line)),
  })
  void child.exited.then(() => told.reject(new Error(`${name} ended:\n${child.lastLines.join('\n')}`)))
  return { port: await told.promise, stop: () => child.stop() }
}
