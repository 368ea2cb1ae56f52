/** What both backup commands begin with. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { createLogger } from '@wmoc/platform/log'
import type { Logger } from '@wmoc/platform/log'
import { backupConfig } from './config.ts'
import type { BackupConfig } from './config.ts'

/** A message that says what to do; anything else that is thrown is told with its stack. */
export class BackupRefused extends Error {
  override readonly name = 'BackupRefused'
}

/**
 * Runs a command: its result as one line of JSON on standard output, the log on standard error. The exit code is 0, 1 when
 * it failed, 2 when it was asked wrongly.
 */
export async function runBackupTool(
  name: string,
  usage: string,
  task: (tool: { config: BackupConfig; log: Logger }) => Promise<object>,
): Promise<void> {
  handleHelp({ help: () => `${usage}\n\n${backupConfig.help()}` })
  try {
    const config = backupConfig.load()
    const format = config.LOG_FORMAT ?? (config.NODE_ENV === 'production' ? 'json' : 'pretty')
    const log = createLogger({ process: name, level: config.LOG_LEVEL, format, stream: process.stderr })
    process.stdout.write(`${JSON.stringify(await task({ config, log }))}\n`)
  } catch (error) {
    const isAsked = error instanceof ConfigError || error instanceof BackupRefused
    process.stderr.write(`${isAsked ? error.message : String((error as Error).stack ?? error)}\n`)
    process.exitCode = isAsked ? 2 : 1
  }
}
