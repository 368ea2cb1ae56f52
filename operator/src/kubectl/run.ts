/** Runs one command of `kubectl wmoc`. */
import { KubeError, KubeconfigError } from '#src/runtime/errors.ts'
import { createKubeClient } from '#src/runtime/http-client.ts'
import { loadClusterAccess } from '#src/runtime/kubeconfig.ts'
import { drain, undrain } from './commands/drain.ts'
import { report } from './commands/report.ts'
import { rollout } from './commands/rollout.ts'
import { shards } from './commands/shards.ts'
import { status } from './commands/status.ts'
import { tail } from './commands/tail.ts'
import { where } from './commands/where.ts'
import { HELP, UsageError, parseOptions } from './options.ts'
import type { Options } from './options.ts'
import type { Session } from './session.ts'

export interface Surroundings {
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** Standard output. */
  readonly write: (text: string | Uint8Array) => void
  /** Standard error. */
  readonly warn: (text: string) => void
  /** Ends what goes on until it is ended. */
  readonly signal: AbortSignal
}

const COMMANDS: Readonly<Record<string, (session: Session) => Promise<void>>> = {
  status,
  shards,
  drain,
  undrain,
  where,
  tail,
  rollout,
  report,
}

/** Answers the exit code: 0 done, 1 the cluster refused or could not be reached, 2 the command line is wrong. */
export async function runPlugin(around: Surroundings): Promise<number> {
  try {
    const options = parseOptions(around.argv)
    if (options.isHelp) {
      around.write(HELP)
      return 0
    }
    const command = COMMANDS[options.command]
    if (command === undefined) {
      throw new UsageError(`there is no command "${options.command}"; see kubectl wmoc --help`)
    }
    await inSession(options, around, command)
    return 0
  } catch (error) {
    if (around.signal.aborted) return 0
    around.warn(`error: ${wordsOf(error)}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}

async function inSession(
  options: Options,
  around: Surroundings,
  command: (session: Session) => Promise<void>,
) {
  const { kubeconfig, context } = options
  const access = await loadClusterAccess(around.env, { kubeconfig, context })
  const client = createKubeClient({ access, requestsPerSecond: 50, userAgent: 'kubectl-wmoc' })
  try {
    await command({
      options,
      client: client.bind(around.signal),
      namespace: options.namespace ?? access.namespace,
      signal: around.signal,
      write: around.write,
      warn: around.warn,
    })
  } finally {
    await client.close()
  }
}

function wordsOf(error: unknown): string {
  const isExpected =
    error instanceof UsageError || error instanceof KubeError || error instanceof KubeconfigError
  if (!isExpected) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (error instanceof KubeError && error.reason === 'Forbidden') {
    return `${error.message}\nYour account may not do this; ask for the role that the chart wmoc-operator adds to "edit".`
  }
  return error.message
}
