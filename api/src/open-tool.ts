/** What the command-line entries share. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { createLogger } from '@wmoc/platform/log'
import type { Logger } from '@wmoc/platform/log'
import { apiConfig } from './config.ts'
import type { ApiConfig } from './config.ts'

/** The configuration and a log to standard error, or the end of the process with a message. */
export function openTool(name: string): { config: ApiConfig; log: Logger } {
  handleHelp(apiConfig)
  try {
    const config = apiConfig.load()
    const format = config.LOG_FORMAT ?? (config.NODE_ENV === 'production' ? 'json' : 'pretty')
    return {
      config,
      log: createLogger({ process: name, level: config.LOG_LEVEL, format, stream: process.stderr }),
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    return process.exit(2)
  }
}
