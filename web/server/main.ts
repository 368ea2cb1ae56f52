/** The process that hands out the portal: `node web/server/main.ts`. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { captureConsole, createLogger } from '@wmoc/platform/log'
import { composeWeb } from './compose.ts'
import { webConfig } from './config.ts'

handleHelp(webConfig)
try {
  const config = webConfig.load()
  const format = config.LOG_FORMAT ?? (config.NODE_ENV === 'production' ? 'json' : 'pretty')
  const log = createLogger({ process: 'web', level: config.LOG_LEVEL, format })
  captureConsole(log)
  const web = composeWeb(config, log)
  web.lifecycle.add('ready line', { start: () => log.info('lifecycle', 'web is up', web.ports()) })
  await web.lifecycle.runUntilSignal()
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`)
  process.exit(error instanceof ConfigError ? 2 : 1)
}
